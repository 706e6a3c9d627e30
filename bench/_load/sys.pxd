# The system calls and constants the load generator uses beyond those of the core (fastnlb/_core/sys.pxd).

from fastnlb._core.sys cimport timespec

cdef extern from "<endian.h>" nogil:
    unsigned long long htobe64(unsigned long long value)
    unsigned long long be64toh(unsigned long long value)

cdef extern from "<time.h>" nogil:
    int CLOCK_THREAD_CPUTIME_ID

cdef extern from "<unistd.h>" nogil:
    long read(int fd, void* buffer, size_t length)

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLL_CTL_MOD

cdef extern from "<sys/timerfd.h>" nogil:
    struct itimerspec:
        timespec it_interval
        timespec it_value
    enum:
        TFD_CLOEXEC
        TFD_NONBLOCK
        TFD_TIMER_ABSTIME
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* new, itimerspec* old)

cdef extern from "<sys/socket.h>" nogil:
    int listen(int fd, int backlog)

cdef extern from "<netinet/in.h>" nogil:
    unsigned int htonl(unsigned int value)
    unsigned short ntohs(unsigned short value)

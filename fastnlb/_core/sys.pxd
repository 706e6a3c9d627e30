# The system calls and constants the core uses, declared once and nothing else.  Everything is nogil; errno is
# read at once after a failed call and compared with exactly what the man page names.

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "sys.h" nogil:
    bint FASTNLB_DEBUG_BUILD
    void CORE_ASSERT(bint condition) noexcept
    int bit_lowest(unsigned long long word) noexcept
    int bit_highest(unsigned long long word) noexcept
    void atomic_fence() noexcept

cdef extern from "<errno.h>" nogil:
    int errno
    enum:
        EAGAIN
        EINTR
        EADDRNOTAVAIL
        EINPROGRESS
        EINVAL
        EMFILE
        ENFILE
        ENOBUFS
        ENOMEM
        EPIPE
        ECONNRESET
        ECONNABORTED

cdef extern from "<sys/types.h>" nogil:
    ctypedef long ssize_t

cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int getpid()
    ssize_t read(int fd, void* buffer, size_t length)
    ssize_t write(int fd, const void* buffer, size_t length)
    int pipe2(int* ends, int flags)

cdef extern from "<fcntl.h>" nogil:
    enum:
        F_GETPIPE_SZ
        F_SETPIPE_SZ
        O_CLOEXEC
        O_NONBLOCK
        SPLICE_F_NONBLOCK
    int fcntl(int fd, int command, ...)
    ssize_t splice(int source, void* source_at, int sink, void* sink_at, size_t length, unsigned int flags)

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_MONOTONIC_COARSE
    int CLOCK_REALTIME
    int clock_gettime(int clock, timespec* out)

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
    int eventfd(unsigned int value, int flags)

cdef extern from "<sys/stat.h>" nogil:
    struct stat_t "stat":
        unsigned int st_mode
    int fstat(int fd, stat_t* out)
    bint S_ISREG(unsigned int mode)
    bint S_ISSOCK(unsigned int mode)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t* out)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t* out, const void* attributes, void* (*start)(void*) noexcept nogil, void* argument)
    int pthread_join(pthread_t thread, void** result)
    int pthread_sigmask(int how, const sigset_t* wanted, sigset_t* before)

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN
        EPOLLPRI
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLLRDHUP
        EPOLLET
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
        POLLOUT
    int poll(pollfd* fds, unsigned long count, int timeout)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    struct linger:
        int l_onoff
        int l_linger
    enum:
        AF_INET
        AF_INET6
        AF_UNIX
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_ERROR
        SO_KEEPALIVE
        SO_LINGER
        SO_REUSEADDR
        SHUT_WR
        MSG_DONTWAIT
        MSG_MORE
        MSG_NOSIGNAL
        MSG_PEEK
    int socket(int domain, int kind, int protocol)
    int bind(int fd, const sockaddr* address, socklen_t length)
    int connect(int fd, const sockaddr* address, socklen_t length)
    int accept4(int fd, sockaddr* address, socklen_t* length, int flags)
    int shutdown(int fd, int how)
    int getpeername(int fd, sockaddr* address, socklen_t* length)
    int getsockname(int fd, sockaddr* address, socklen_t* length)
    ssize_t recv(int fd, void* buffer, size_t length, int flags)
    ssize_t send(int fd, const void* buffer, size_t length, int flags)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)
    int getpeername(int fd, sockaddr* address, socklen_t* length)
    int getsockname(int fd, sockaddr* address, socklen_t* length)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
    enum:
        IPPROTO_IP
        IPPROTO_IPV6
        IPPROTO_TCP
        IP_BIND_ADDRESS_NO_PORT
        IP_TRANSPARENT
        IPV6_TRANSPARENT
    unsigned short htons(unsigned short value)
    unsigned short ntohs(unsigned short value)

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char[108] sun_path

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_CLOSE
        TCP_ESTABLISHED
        TCP_CORK
        TCP_INFO
        TCP_KEEPIDLE
        TCP_KEEPINTVL
        TCP_NODELAY
        TCP_QUICKACK

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* out)
    const char* inet_ntop(int family, const void* address, char* out, socklen_t room)

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int fd, unsigned long request, ...)

cdef extern from "<linux/sockios.h>" nogil:
    unsigned long SIOCOUTQ

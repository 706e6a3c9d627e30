# How many buckets a consistent hash has: enough that a share of one in a thousand servers is 65 of them.

cdef enum:
    BUCKET_BITS = 16
    BUCKETS = 65536

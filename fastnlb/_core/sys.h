/* The few things Cython cannot say itself: assertions that never take the GIL, and bit scans. */
#ifndef FASTNLB_SYS_H
#define FASTNLB_SYS_H

#include <stdio.h>
#include <stdlib.h>

#ifdef FASTNLB_DEBUG
#define FASTNLB_DEBUG_BUILD 1
/* A plain assert would go through Python in generated code; this one says where it stood and aborts. */
#define CORE_ASSERT(condition)                                                                  \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "core: assertion failed at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                            \
        }                                                                                       \
    } while (0)
#else
#define FASTNLB_DEBUG_BUILD 0
/* Nothing, not __builtin_unreachable: a release must not turn a broken assumption into wild code. */
#define CORE_ASSERT(condition) ((void)0)
#endif

static inline int bit_lowest(unsigned long long word) { return __builtin_ctzll(word); }
static inline int bit_highest(unsigned long long word) { return 63 - __builtin_clzll(word); }

#endif

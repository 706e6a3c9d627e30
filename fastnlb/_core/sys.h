/* The few things Cython cannot say itself: assertions that never take the GIL, bit scans, atomics. */
#ifndef FASTNLB_SYS_H
#define FASTNLB_SYS_H

#include <stdint.h>
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

/* Shared memory.  Relaxed is enough: no cell of the board says anything about another.  Who compares counts of
 * several workers puts the fence between its own and theirs. */
#define atomic_load32(at) __atomic_load_n((at), __ATOMIC_RELAXED)
#define atomic_store32(at, value) __atomic_store_n((at), (value), __ATOMIC_RELAXED)
#define atomic_add32(at, value) __atomic_add_fetch((at), (value), __ATOMIC_RELAXED)
#define atomic_add64(at, value) __atomic_add_fetch((at), (value), __ATOMIC_RELAXED)
#define atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define atomic_load64(at) __atomic_load_n((at), __ATOMIC_RELAXED)
#define atomic_loadi32(at) __atomic_load_n((at), __ATOMIC_RELAXED)
#define atomic_storei32(at, value) __atomic_store_n((at), (value), __ATOMIC_RELAXED)

/* Between the loop and the thread that writes the access log: what was stored before is seen by who loads this. */
#define atomic_take64(at) __atomic_load_n((at), __ATOMIC_ACQUIRE)
#define atomic_give64(at, value) __atomic_store_n((at), (value), __ATOMIC_RELEASE)
#define atomic_exchange32(at, value) __atomic_exchange_n((at), (value), __ATOMIC_ACQ_REL)
#define atomic_exchange64(at, value) __atomic_exchange_n((at), (value), __ATOMIC_ACQ_REL)

static inline int atomic_swap64(uint64_t *at, uint64_t expected, uint64_t value) {
    return __atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

#endif

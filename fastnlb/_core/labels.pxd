# Generated from fastnlb/stats by `python -m fastnlb.stats.generate`; do not edit.
# How the values of labels are found: by the names of the TLS library, by alert, by reason, by time.

from libc.stdint cimport uint8_t, uint16_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    static const char *const LABEL_CIPHERS[] __attribute__((unused)) = {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES256-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-AES256-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA256",
        "AES256-SHA256",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    };
    static const char *const LABEL_GROUPS[] __attribute__((unused)) = {
        "X25519MLKEM768",
        "SecP256r1MLKEM768",
        "SecP384r1MLKEM1024",
        "x25519",
        "x448",
        "secp256r1",
        "secp384r1",
        "secp521r1",
    };
    static const uint8_t LABEL_ALERTS[] __attribute__((unused)) = {
        0,
        10,
        20,
        22,
        40,
        42,
        43,
        44,
        45,
        46,
        47,
        48,
        49,
        50,
        51,
        70,
        71,
        80,
        86,
        90,
        109,
        110,
        112,
        113,
        115,
        116,
        120,
    };
    static const uint16_t LABEL_REASONS[][2] __attribute__((unused)) = {
        {234, 1},
        {235, 2},
        {199, 3},
        {134, 4},
        {258, 5},
        {166, 5},
        {266, 5},
        {292, 5},
        {396, 5},
        {193, 6},
        {101, 7},
        {410, 7},
        {315, 7},
        {118, 8},
        {376, 8},
        {155, 9},
        {156, 9},
        {267, 9},
    };
    static const uint64_t LABEL_BUCKETS[] __attribute__((unused)) = {
        100000ull,
        250000ull,
        500000ull,
        1000000ull,
        2500000ull,
        5000000ull,
        10000000ull,
        25000000ull,
        50000000ull,
        100000000ull,
        250000000ull,
        500000000ull,
        1000000000ull,
        2500000000ull,
        5000000000ull,
        10000000000ull,
        25000000000ull,
    };
    """
    const char* LABEL_CIPHERS[]
    const char* LABEL_GROUPS[]
    const uint8_t LABEL_ALERTS[]
    const uint16_t LABEL_REASONS[][2]
    const uint64_t LABEL_BUCKETS[]

cdef enum:
    LABEL_CIPHER_COUNT = 24
    LABEL_GROUP_COUNT = 8
    LABEL_ALERT_COUNT = 27
    LABEL_REASON_COUNT = 18
    LABEL_BUCKET_COUNT = 17
    LABEL_FAILURE_OTHER = 10

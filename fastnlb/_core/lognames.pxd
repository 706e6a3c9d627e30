# What the access log calls the ways a connection ends, and the alerts of TLS.

cdef extern from *:
    """
    #include <stddef.h>
    /* RFC 8446 section 6 and, for older versions, RFC 5246 section 7.2. */
    __attribute__((unused)) static const char *const log_alerts[] = {
        [0] = "close_notify", [10] = "unexpected_message", [20] = "bad_record_mac", [21] = "decryption_failed",
        [22] = "record_overflow", [30] = "decompression_failure", [40] = "handshake_failure",
        [41] = "no_certificate", [42] = "bad_certificate", [43] = "unsupported_certificate",
        [44] = "certificate_revoked", [45] = "certificate_expired", [46] = "certificate_unknown",
        [47] = "illegal_parameter", [48] = "unknown_ca", [49] = "access_denied", [50] = "decode_error",
        [51] = "decrypt_error", [60] = "export_restriction", [70] = "protocol_version",
        [71] = "insufficient_security", [80] = "internal_error", [86] = "inappropriate_fallback",
        [90] = "user_canceled", [100] = "no_renegotiation", [109] = "missing_extension",
        [110] = "unsupported_extension", [111] = "certificate_unobtainable", [112] = "unrecognized_name",
        [113] = "bad_certificate_status_response", [114] = "bad_certificate_hash_value",
        [115] = "unknown_psk_identity", [116] = "certificate_required", [117] = "general_error",
        [120] = "no_application_protocol", [121] = "ech_required",
    };
    /* In the order of Fault. */
    __attribute__((unused)) static const char *const log_faults[] = {
        NULL, "reset", "io", "tls", "memory", "proxy", "proxy_timeout", "handshake", "aborted", "handshake_timeout",
        "shed", "connect", "connect_timeout", "no_server", "idle", "shutdown", "drain",
    };
    /* In the order of the closed_* numbers. */
    __attribute__((unused)) static const char *const log_closes[] = {
        "handshake", "proxy", "refused", "clean", "reset", "tls", "idle", "shutdown", "drained", "memory",
    };
    enum { LOG_ALERTS = sizeof log_alerts / sizeof *log_alerts };
    """
    const char** log_alerts
    const char** log_faults
    const char** log_closes
    int LOG_ALERTS

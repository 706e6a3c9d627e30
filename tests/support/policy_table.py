"""What each system security policy has to offer on the wire, written down a second time and by hand.

TABLE: policy -> version -> the ciphers that must be served, and no other.  DES-CBC3-SHA is on no list: the TLS
library does not have it.
"""

ECDHE_SHA2 = [
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA384")
]
ECDHE_SHA1 = [f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA") for cipher in ("AES128-SHA", "AES256-SHA")]
RSA_SHA2 = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA256"]
RSA_SHA1 = ["AES128-SHA", "AES256-SHA"]
TLS_1_3 = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
]
BROAD = {"TLSv1.2": ECDHE_SHA2 + RSA_SHA2 + ECDHE_SHA1 + RSA_SHA1}
TABLE: dict[str, dict[str, list[str]]] = {
    "tls_cipher_policy_1_0": {
        **BROAD,
        "TLSv1.0": ECDHE_SHA1 + RSA_SHA1,
        "TLSv1.1": ECDHE_SHA1 + RSA_SHA1,
    },
    "tls_cipher_policy_1_1": {**BROAD, "TLSv1.1": ECDHE_SHA1 + RSA_SHA1},
    "tls_cipher_policy_1_2": BROAD,
    "tls_cipher_policy_1_2_strict": {"TLSv1.2": ECDHE_SHA2 + ECDHE_SHA1},
    "tls_cipher_policy_1_2_strict_with_1_3": {"TLSv1.2": ECDHE_SHA2 + ECDHE_SHA1, "TLSv1.3": TLS_1_3},
}

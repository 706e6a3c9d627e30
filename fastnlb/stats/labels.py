"""What the numbers of a listener are told apart by: fixed lists, so that a worker counts into an array.

The core finds the place of a value by its name (`_core/labels.pxd` is generated from here); what is on no list is
`OTHER`.  Ciphers and groups are those of the security policies.
"""

from __future__ import annotations

from fastnlb.tls.policies import CIPHERS as CIPHERS_BY_VERSION
from fastnlb.tls.policies import GROUPS as POLICY_GROUPS
from fastnlb.tls.policies import TLS_VERSIONS

OTHER = "other"
NO_GROUP = "none"

VERSIONS = TLS_VERSIONS
CIPHERS = tuple(dict.fromkeys(cipher for each in reversed([*CIPHERS_BY_VERSION.values()]) for cipher in each))
GROUPS: tuple[str, ...] = POLICY_GROUPS

LIBRARY_GROUPS = {
    "X25519": "x25519",
    "X448": "x448",
    "P-256": "secp256r1",
    "P-384": "secp384r1",
    "P-521": "secp521r1",
}
"""What the library calls a group when it says which one was used, where that is not the name of the policies."""

ALERTS: dict[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""Of the IANA registry of TLS alerts, those that occur."""

FAILURES: dict[str, tuple[int, ...]] = {
    "client_alert": (),
    "no_server_name": (234,),
    "no_application_protocol": (235,),
    "no_client_certificate": (199,),
    "bad_client_certificate": (134,),
    "protocol_version": (258, 166, 266, 292, 396),
    "no_shared_cipher": (193,),
    "no_shared_group": (101, 410, 315),
    "no_shared_signature_algorithm": (118, 376),
    "not_tls": (155, 156, 267),
    OTHER: (),
}
"""Why the library ended a handshake: the SSL_R_* of sslerr.h that each of these words stands for.

client_alert is any of the reasons from 1000 on, where the library puts the alerts of its peer.
"""

BUCKETS: tuple[float, ...] = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0),
)
"""Upper bounds of the buckets of every histogram, in seconds; one more is for what is above them."""

"""The five system security policies, which ciphers belong to which TLS version, and which key types to which cipher.

Facts only.  Names and order are those of the cloud load balancers' documentation; cipher names are OpenSSL's.
Whether the OpenSSL at hand still has a cipher is for `available` to find out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from fastnlb.model import DEFAULT_SECURITY_POLICY, SecurityPolicy

_ECDHE_SHA2 = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA384",
)
_RSA_SHA2 = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA256")
_ECDHE_SHA1 = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
)
_RSA_SHA1 = ("AES128-SHA", "AES256-SHA", "DES-CBC3-SHA")
_TLS_1_3 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
_BROAD = _ECDHE_SHA2 + _RSA_SHA2 + _ECDHE_SHA1 + _RSA_SHA1
_STRICT = _ECDHE_SHA2 + _ECDHE_SHA1

KEY_TYPES = ("RSA", "ECDSA", "Ed25519")
TLS_VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
GROUPS = (
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "X25519",
    "X448",
    "P-256",
    "P-384",
    "P-521",
)

DEFAULT_GROUPS = ("X25519MLKEM768", "X25519", "P-256", "X448", "P-384", "P-521")
"""Of a policy that names none.  No finite-field ones: they cost the server far more than the client."""

CIPHERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "TLSv1.0": _ECDHE_SHA1 + _RSA_SHA1,
        "TLSv1.1": _ECDHE_SHA1 + _RSA_SHA1,
        "TLSv1.2": _BROAD,
        "TLSv1.3": _TLS_1_3,
    }
)

SYSTEM: Mapping[str, SecurityPolicy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            SecurityPolicy("tls_cipher_policy_1_0", ("TLSv1.0", "TLSv1.1", "TLSv1.2"), _BROAD),
            SecurityPolicy("tls_cipher_policy_1_1", ("TLSv1.1", "TLSv1.2"), _BROAD),
            SecurityPolicy("tls_cipher_policy_1_2", ("TLSv1.2",), _BROAD),
            SecurityPolicy("tls_cipher_policy_1_2_strict", ("TLSv1.2",), _STRICT),
            SecurityPolicy(DEFAULT_SECURITY_POLICY, ("TLSv1.2", "TLSv1.3"), _STRICT + _TLS_1_3),
        )
    }
)


def ciphers_for(tls_versions: Iterable[str]) -> tuple[str, ...]:
    """Every cipher that at least one of these versions has, without repetition.  KeyError for an unknown version."""
    return tuple(dict.fromkeys(cipher for version in tls_versions for cipher in CIPHERS[version]))


def key_types_of(cipher: str, tls_version: str) -> frozenset[str]:
    """The types of keys that a server can prove itself with when this cipher is used in this version."""
    if cipher.startswith("TLS_"):
        return frozenset(KEY_TYPES)
    if not cipher.startswith("ECDHE-ECDSA-"):
        return frozenset({"RSA"})
    # RFC 8422: the ECDSA suites also carry Ed25519, whose signatures came with TLS 1.2.
    return frozenset({"ECDSA", "Ed25519"} if tls_version == "TLSv1.2" else {"ECDSA"})


def serving_versions(policy: SecurityPolicy, key_type: str) -> tuple[str, ...]:
    """The versions of the policy in which a certificate with such a key can be served."""
    return tuple(
        version
        for version in policy.tls_versions
        if any(key_type in key_types_of(cipher, version) for cipher in policy.ciphers if cipher in CIPHERS[version])
    )

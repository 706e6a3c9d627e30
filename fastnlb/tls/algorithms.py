"""How the PROXY protocol calls the key and the signature of a certificate: as OpenSSL's short names do."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

_SIGNATURES = {
    SignatureAlgorithmOID.RSA_WITH_SHA1: b"RSA-SHA1",
    SignatureAlgorithmOID.RSA_WITH_SHA224: b"RSA-SHA224",
    SignatureAlgorithmOID.RSA_WITH_SHA256: b"RSA-SHA256",
    SignatureAlgorithmOID.RSA_WITH_SHA384: b"RSA-SHA384",
    SignatureAlgorithmOID.RSA_WITH_SHA512: b"RSA-SHA512",
    SignatureAlgorithmOID.RSASSA_PSS: b"RSASSA-PSS",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: b"ecdsa-with-SHA1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA224: b"ecdsa-with-SHA224",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: b"ecdsa-with-SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: b"ecdsa-with-SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: b"ecdsa-with-SHA512",
    SignatureAlgorithmOID.ED25519: b"ED25519",
}


def algorithms(chain_pem: bytes) -> tuple[bytes, bytes]:
    """Of the leaf: the key with its size (RSA2048, EC256) and the signature (RSA-SHA256); empty = no name known."""
    leaf = x509.load_pem_x509_certificate(chain_pem)
    return _key(leaf), _SIGNATURES.get(leaf.signature_algorithm_oid, b"")


def _key(leaf: x509.Certificate) -> bytes:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return b"RSA%d" % key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return b"EC%d" % key.key_size
    return b"ED25519" if isinstance(key, ed25519.Ed25519PublicKey) else b""

"""pyOpenSSL contexts from the model: certificate, chain, key, versions, ciphers, modes.

A Context is never changed after it has been given to the core (pyOpenSSL refuses it, and handshakes may be under
way): a change builds a new one.  Connections keep the SSL_CTX they were made from by reference.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from fastnlb.model import Certificate, SecurityPolicy

VERSIONS = {
    "TLSv1.0": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
LEGACY = frozenset({"TLSv1.0", "TLSv1.1"})

# OpenSSL's ssl.h; pyOpenSSL has no names for these.
MODE_ENABLE_PARTIAL_WRITE = 0x1
MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2
MODE_AUTO_RETRY = 0x4

OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    # A client that closes TCP without close_notify has ended its stream all the same.
    | SSL.OP_IGNORE_UNEXPECTED_EOF
)
MODES = SSL.MODE_RELEASE_BUFFERS | MODE_ENABLE_PARTIAL_WRITE | MODE_ACCEPT_MOVING_WRITE_BUFFER


class ContextError(Exception):
    """The TLS library refuses a certificate, key or policy; the message names it."""


def server_context(certificate: Certificate, policy: SecurityPolicy) -> SSL.Context:
    """A context that serves `certificate` under `policy`.  Raises ContextError."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_options(OPTIONS)
    context.set_mode(MODES)
    # So that reading comes back after each record: a flood of records without plaintext must not hold the worker.
    context.clear_mode(MODE_AUTO_RETRY)
    # Sessions live in tickets; a cache would grow in every worker and serve only that worker.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"fastnlb")
    _apply_policy(context, policy)
    _apply_certificate(context, certificate)
    return context


def _apply_policy(context: SSL.Context, policy: SecurityPolicy) -> None:
    versions = sorted(VERSIONS[name] for name in policy.tls_versions)
    old = [name for name in policy.ciphers if not name.startswith("TLS_")]
    new = [name for name in policy.ciphers if name.startswith("TLS_")]
    # The library serves TLS 1.0 and 1.1 only at security level 0, where it also takes weak signatures: no policy
    # without them is lowered.
    level = "@SECLEVEL=0" if LEGACY.intersection(policy.tls_versions) else "@SECLEVEL=1"
    try:
        context.set_min_proto_version(versions[0])
        context.set_max_proto_version(versions[-1])
        context.set_cipher_list(":".join([*old, level]).encode())
        if new:
            context.set_tls13_ciphersuites(":".join(new).encode())
    except SSL.Error as error:
        raise ContextError(f"security policy {policy.name}: {_reason(error)}") from error


def _apply_certificate(context: SSL.Context, certificate: Certificate) -> None:
    try:
        leaf, *chain = x509.load_pem_x509_certificates(certificate.chain_pem)
        context.use_certificate(leaf)
        for link in chain:
            context.add_extra_chain_cert(link)
        # The types of keys the library can serve with are checked when the file is read.
        context.use_privatekey(load_pem_private_key(certificate.key_pem, None))  # type: ignore[arg-type]
        context.check_privatekey()
    except (SSL.Error, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ContextError(f"certificate {certificate.name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The library's own words, without its queue structure."""
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return "; ".join(str(entry[-1]) for entry in queue)
    return str(error) or type(error).__name__

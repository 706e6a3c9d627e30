"""pyOpenSSL contexts from the model: a front for each listener, an inner one for each set of certificates.

Every SSL object is made from a *front*: it has the listener's ticket keys and says which sessions may be resumed.
Once the ClientHello is read the core switches the object to the *inner* context that has the certificates and the
authorities.  Both carry the same security settings.  A context is never changed while a connection may begin from
it: a change builds a new inner one, and takes a fresh front when the settings differ.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from OpenSSL import SSL, crypto

from fastnlb.model import REQUIRED, CaCertificate, Certificate, SecurityPolicy
from fastnlb.tls import binding
from fastnlb.tls.policies import DEFAULT_GROUPS

VERSIONS = {
    "TLSv1.0": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
_SWITCHES = {
    "TLSv1.0": SSL.OP_NO_TLSv1,
    "TLSv1.1": SSL.OP_NO_TLSv1_1,
    "TLSv1.2": SSL.OP_NO_TLSv1_2,
    "TLSv1.3": SSL.OP_NO_TLSv1_3,
}

# OpenSSL's ssl.h; pyOpenSSL has no names for these.
MODE_ENABLE_PARTIAL_WRITE = 0x1
MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2
MODE_AUTO_RETRY = 0x4
MODE_NO_AUTO_CHAIN = 0x8

OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    # A client that closes TCP without close_notify has ended its stream all the same.
    | SSL.OP_IGNORE_UNEXPECTED_EOF
)
MODES = (
    SSL.MODE_RELEASE_BUFFERS
    | MODE_ENABLE_PARTIAL_WRITE
    | MODE_ACCEPT_MOVING_WRITE_BUFFER
    # Without it the library looks for our own chain among the clients' authorities, in every handshake.
    | MODE_NO_AUTO_CHAIN
)

SIGNATURE_ALGORITHMS = (
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"
)
"""No SHA-1: contexts run at security level 0, where the library would take it."""

SESSION_SECONDS = 7200
AUTHENTICATED_SESSION_SECONDS = 600
"""With client certificates: one that expires meanwhile, or whose CRL does, is asked for again after so long."""
SESSION_ID_BYTES = 32


class ContextError(Exception):
    """The TLS library refuses a certificate, key, authority or policy; the message names it."""


@dataclass(frozen=True, slots=True)
class Security:
    """What a listener asks of its clients, whatever the certificate: no session survives a change of it."""

    policy: SecurityPolicy
    authority: CaCertificate | None = None
    client_certificate: str = REQUIRED

    @property
    def verify_mode(self) -> int:
        """As SSL_CTX_set_verify takes it; 0 = no client certificate is asked for."""
        if self.authority is None:
            return SSL.VERIFY_NONE
        required = self.client_certificate == REQUIRED
        return SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else 0)

    @property
    def session_seconds(self) -> int:
        """How long a session may be resumed."""
        return SESSION_SECONDS if self.authority is None else AUTHENTICATED_SESSION_SECONDS

    @property
    def options(self) -> int:
        """SSL_OP_* that switch off the versions between the oldest and the newest that the policy leaves out."""
        names = list(VERSIONS)
        have = [names.index(version) for version in self.policy.tls_versions]
        missing = [name for at, name in enumerate(names) if min(have) < at < max(have) and at not in have]
        return sum(_SWITCHES[name] for name in missing)


def make_fronts(count: int) -> tuple[SSL.Context, ...]:
    """Fronts without settings.  All that matters is when they are made: before a fork, so that every process has the
    same ticket keys.  About 0.1 ms and 16 KiB each.
    """
    return tuple(SSL.Context(SSL.TLS_SERVER_METHOD) for _ in range(count))


def configure_front(front: SSL.Context, security: Security, session_id: bytes) -> None:
    """Give a front its settings; sessions are resumed under an equal `session_id` (32 bytes) only.

    Raises ContextError.
    """
    _apply_security(front, security)
    front.set_session_id(session_id)


@dataclass(frozen=True, slots=True)
class Authorities:
    """Client authorities as the library has them, to be shared by contexts: trust anchors, and the names to send."""

    store: crypto.X509Store
    certificates: tuple[x509.Certificate, ...]


def inner_context(
    certificates: Sequence[Certificate], security: Security, authorities: Authorities | None = None
) -> SSL.Context:
    """A context that serves `certificates`, one of each key type, and trusts `authorities`.  Raises ContextError."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    _apply_security(context, security)
    for certificate in certificates:
        add_certificate(context, certificate)
    if authorities is not None:
        binding.share_store(context, authorities.store)
        for authority in authorities.certificates:
            context.add_client_ca(authority)
    return context


def server_context(certificate: Certificate, policy: SecurityPolicy) -> SSL.Context:
    """One context that is front and inner at once, for a listener with one certificate.  Raises ContextError."""
    context = inner_context([certificate], Security(policy))
    context.set_session_id(bytes(SESSION_ID_BYTES))
    return context


def client_authorities(authority: CaCertificate) -> Authorities:
    """The authorities as trust anchors, intermediate ones too, with their CRLs.  Raises ContextError.

    With a CRL every authority on the way needs its own: nothing is taken for not revoked because nobody said so.
    """
    store = crypto.X509Store()
    flags = crypto.X509StoreFlags.PARTIAL_CHAIN
    try:
        certificates = tuple(x509.load_pem_x509_certificates(authority.bundle_pem))
        for certificate in certificates:
            store.add_cert(crypto.X509.from_cryptography(certificate))
        for block in _pem_blocks(authority.crl_pem):
            store.add_crl(x509.load_pem_x509_crl(block))
            flags |= crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL
        store.set_flags(flags)
    except (crypto.Error, ValueError) as error:
        raise ContextError(f"CA certificate {authority.name}: {_reason(error)}") from error
    return Authorities(store, certificates)


def _pem_blocks(text: bytes) -> list[bytes]:
    end = b"-----END X509 CRL-----"
    return [block + end for block in text.split(end) if block.strip()]


def _apply_security(context: SSL.Context, security: Security) -> None:
    context.set_options(OPTIONS)
    context.set_mode(MODES)
    # So that reading comes back after each record: a flood of records without plaintext must not hold the worker.
    context.clear_mode(MODE_AUTO_RETRY)
    # Sessions live in tickets; a cache would grow in every worker and serve only that worker.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_timeout(security.session_seconds)
    if security.authority is not None:
        context.set_verify_depth(security.authority.verify_depth)
    _apply_policy(context, security.policy)


def _apply_policy(context: SSL.Context, policy: SecurityPolicy) -> None:
    versions = sorted(VERSIONS[name] for name in policy.tls_versions)
    old = [name for name in policy.ciphers if not name.startswith("TLS_")]
    new = [name for name in policy.ciphers if name.startswith("TLS_")]
    try:
        context.set_min_proto_version(versions[0])
        context.set_max_proto_version(versions[-1])
        # Level 0 is what it takes to have exactly the policy's ciphers (docs/decisions/0010-exact-ciphers.md).
        context.set_cipher_list(":".join([*(old or ["DEFAULT"]), "@SECLEVEL=0"]).encode())
        if new:
            context.set_tls13_ciphersuites(":".join(new).encode())
    except SSL.Error as error:
        raise ContextError(f"security policy {policy.name}: {_reason(error)}") from error
    if not binding.set_groups(context, group_list(policy.groups or DEFAULT_GROUPS)):
        raise ContextError(f"security policy {policy.name}: the TLS library has not all of its groups")
    if not binding.set_signature_algorithms(context, SIGNATURE_ALGORITHMS):
        raise ContextError("the TLS library does not take the list of signature algorithms")


def group_list(groups: Sequence[str]) -> str:
    """The groups as the library takes them: a hybrid one is worth another round trip, the rest are equals, among
    which the library prefers what the client has sent a share for.
    """
    text = ""
    for before, group in zip(("", *groups), groups, strict=False):
        text += ("" if not before else "/" if "MLKEM" in before else ":") + group
    return text


def add_certificate(context: SSL.Context, certificate: Certificate) -> None:
    """Serve this certificate too; it replaces one of the same key type.  Raises ContextError."""
    # From a file, because only so every key type gets a chain of its own; one in memory, as a worker opens no other.
    descriptor = os.memfd_create("fastnlb-certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(certificate.chain_pem)
            file.write(certificate.key_pem)
        path = f"/proc/self/fd/{descriptor}"
        context.use_certificate_chain_file(path)
        context.use_privatekey_file(path)
        context.check_privatekey()
    except SSL.Error as error:
        raise ContextError(f"certificate {certificate.name}: {_reason(error)}") from error
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    """The library's own words, without its queue structure."""
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue:
        return "; ".join(str(entry[-1]) for entry in queue)
    return str(error) or type(error).__name__

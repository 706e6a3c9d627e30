"""The C addresses of the TLS library that cryptography carries; the only file that touches its cffi names.

The wheel of cryptography has its own static OpenSSL.  Linking another one into the core would put two incompatible
libraries into one process, so the core is given the addresses of this one's functions instead.  The names are
semi-private: pyproject.toml pins the tested versions, every name is probed here, and a missing one is said in one
sentence.  docs/decisions/0003-tls-binding.md has the reasons.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto

FUNCTIONS = (
    "SSL_new",
    "SSL_free",
    "SSL_set_accept_state",
    "SSL_do_handshake",
    "SSL_shutdown",
    "SSL_version",
    "SSL_session_reused",
    "SSL_read",
    "SSL_write",
    "SSL_get_error",
    "SSL_set_fd",
    "SSL_set_bio",
    "BIO_new_mem_buf",
    "BIO_s_mem",
    "BIO_new",
    "BIO_read",
    "BIO_set_mem_eof_return",
    "BIO_get_mem_data",
    "ERR_clear_error",
    "ERR_peek_error",
    "SSL_set_SSL_CTX",
    "SSL_get_servername",
    "SSL_set_options",
    "SSL_get_certificate",
    "SSL_set_tlsext_status_ocsp_resp",
    "OPENSSL_malloc",
    "SSL_CTX_set_tlsext_servername_callback",
    "SSL_CTX_set_alpn_select_cb",
    "SSL_CTX_set_tlsext_status_cb",
    "SSL_set_verify",
    "SSL_CTX_set_session_id_context",
    "X509_ALGOR_get0",
    "ASN1_STRING_get0_data",
    "ASN1_STRING_length",
    "X509_STORE_CTX_get_current_cert",
    "X509_STORE_CTX_get_error_depth",
    "X509_STORE_CTX_set_error",
    "X509_get_pubkey",
    "X509_get0_tbs_sigalg",
    "X509_get_subject_name",
    "X509_get_issuer_name",
    "X509_NAME_cmp",
    "EVP_PKEY_id",
    "EVP_PKEY_bits",
    "EVP_PKEY_free",
    "OBJ_obj2nid",
    "SSL_get0_alpn_selected",
    "SSL_get_version",
    "SSL_get_current_cipher",
    "SSL_CIPHER_get_name",
    "SSL_get0_group_name",
    "SSL_CTX_set_info_callback",
    "SSL_get_peer_certificate",
    "SSL_get_verify_result",
    "X509_free",
    "X509_NAME_get_index_by_NID",
    "X509_NAME_get_entry",
    "X509_NAME_ENTRY_get_data",
    "ASN1_STRING_to_UTF8",
    "OPENSSL_free",
    "X509_get_serialNumber",
    "X509_NAME_entry_count",
    "X509_NAME_ENTRY_get_object",
    "OBJ_nid2sn",
)
"""Every function the core calls: the fields of `_core/tlsapi.pxd`."""


class BindingError(Exception):
    """The installed cryptography or pyOpenSSL does not offer what the core needs."""


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.bindings._rust import _openssl  # noqa: PLC0415  probed, not assumed
    except ImportError as error:
        raise BindingError(f"cryptography has no OpenSSL binding where it is expected: {error}") from error
    return _openssl.ffi, _openssl.lib


def addresses() -> dict[str, int]:
    """Name -> address of each function in FUNCTIONS.  Raises BindingError naming those that are missing."""
    ffi, lib = _library()
    missing = [name for name in FUNCTIONS if not hasattr(lib, name)]
    if missing:
        raise BindingError(
            f"cryptography {_version('cryptography')} does not export {', '.join(missing)}: "
            "install the version range named in pyproject.toml"
        )
    return {name: int(ffi.cast("uintptr_t", ffi.addressof(lib, name))) for name in FUNCTIONS}


def context_address(context: SSL.Context) -> int:
    """The SSL_CTX* of a pyOpenSSL Context, valid for as long as the Context lives."""
    return int(_library()[0].cast("uintptr_t", _context(context)))


def _context(context: SSL.Context) -> Any:
    pointer = getattr(context, "_context", None)
    if pointer is None:
        raise BindingError(f"pyOpenSSL {_version('pyOpenSSL')} keeps no SSL_CTX where it is expected")
    return pointer


def leaf_address(context: SSL.Context) -> int:
    """The X509* of the certificate that was loaded into the context last, valid as long as the Context."""
    ffi, lib = _library()
    probe = lib.SSL_new(_context(context))
    if probe == ffi.NULL:
        raise BindingError("the TLS library makes no connection object: is memory out?")
    address = int(ffi.cast("uintptr_t", lib.SSL_get_certificate(probe)))
    lib.SSL_free(probe)
    return address


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Key-exchange groups in the notation of SSL_CTX_set1_groups_list; False when the library refuses them."""
    return _accepted(_library()[1].SSL_CTX_set1_curves_list(_context(context), groups.encode("ascii")))


def set_signature_algorithms(context: SSL.Context, algorithms: str) -> bool:
    """Signature schemes in the notation of SSL_CTX_set1_sigalgs_list; False when the library refuses them."""
    return _accepted(_library()[1].SSL_CTX_set1_sigalgs_list(_context(context), algorithms.encode("ascii")))


def share_store(context: SSL.Context, store: crypto.X509Store) -> None:
    """Let the context verify against this store, which others may use as well."""
    _, lib = _library()
    # The context takes the reference over.
    lib.X509_STORE_up_ref(store._store)
    lib.SSL_CTX_set_cert_store(_context(context), store._store)


def _accepted(result: int) -> bool:
    if result == 1:
        return True
    _library()[1].ERR_clear_error()
    return False


def library_version() -> str:
    """For example `OpenSSL 4.0.3 29 Sep 2026`."""
    return SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()


def _version(package: str) -> str:
    from importlib import metadata  # noqa: PLC0415  only needed to complain

    return metadata.version(package)

"""The C addresses of the TLS library that cryptography carries; the only file that touches its cffi names.

The wheel of cryptography has its own static OpenSSL.  Linking another one into the core would put two incompatible
libraries into one process, so the core is given the addresses of this one's functions instead.  The names are
semi-private: pyproject.toml pins the tested versions, every name is probed here, and a missing one is said in one
sentence.  docs/decisions/0003-tls-binding.md has the reasons.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

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
    "BIO_free",
    "BIO_read",
    "BIO_set_mem_eof_return",
    "BIO_get_mem_data",
    "ERR_clear_error",
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
    ffi, _ = _library()
    pointer = getattr(context, "_context", None)
    if pointer is None:
        raise BindingError(f"pyOpenSSL {_version('pyOpenSSL')} keeps no SSL_CTX where it is expected")
    return int(ffi.cast("uintptr_t", pointer))


def library_version() -> str:
    """For example `OpenSSL 4.0.3 29 Sep 2026`."""
    return SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()


def _version(package: str) -> str:
    from importlib import metadata  # noqa: PLC0415  only needed to complain

    return metadata.version(package)

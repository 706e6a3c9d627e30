"""The certificate that the admin port is served with: one of the daemon's own, followed as it is renewed."""

from __future__ import annotations

import logging
import os
import ssl
from typing import TYPE_CHECKING

from fastnlb.model import Certificate

if TYPE_CHECKING:
    from fastnlb.control.run import Control

log = logging.getLogger("fastnlb.control")


class AdminTls:
    """The context for new clients; another one as soon as the certificate in force is another one."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._shown = b""
        self._context = self._made(b"", b"")

    def context(self) -> ssl.SSLContext:
        """With the certificate in force; without one, what there was goes on."""
        wanted = self._control.settings.admin_certificate
        for each in self._control.offer.snapshot.certificates:
            if each.name == wanted and each.chain_pem != self._shown:
                self._show(each)
        return self._context

    def _show(self, certificate: Certificate) -> None:
        self._shown = certificate.chain_pem
        try:
            self._context = self._made(certificate.chain_pem, certificate.key_pem)
        except OSError as error:  # this library may be stricter than that of the workers
            log.error("admin.certificate %s cannot be shown, the one before stays: %s", certificate.name, error)

    def _made(self, chain: bytes, key: bytes) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = self._choose
        if chain:
            _load(context, chain + b"\n" + key)
        return context

    def _choose(self, sock: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called at the begin of every handshake."""
        sock.context = self.context()


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """The standard library reads keys from files only: this one is in memory, and nobody else's."""
    fd = os.memfd_create("fastnlb-admin", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)

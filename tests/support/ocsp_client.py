"""A TLS client that asks for the certificate's status and keeps what comes."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from support.tls_client import TlsClient


class Asking(TlsClient):
    def prepare_context(self, context: SSL.Context, **wishes: Any) -> None:
        super().prepare_context(context, **wishes)
        self.staple: bytes | None = None
        context.set_ocsp_client_callback(self._keep)

    def _keep(self, connection: SSL.Connection, response: bytes, data: object) -> bool:
        self.staple = response
        return True

    def ask(self) -> bytes | None:
        """Empty when the server sent none."""
        self.tls.request_ocsp()
        self.handshake()
        return self.staple

"""For tests of the load generator: its clients' TLS contexts, and a server that is gone after its first clients."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from OpenSSL import SSL

QUESTION = 10  # bytes: a command, and the one that is to come back
VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


def client_context(version: str | None = None) -> SSL.Context:
    """Of a client that trusts everybody; of one TLS version when it is given."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version is not None:
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
    return context


@contextmanager
def brief_server(clients: int, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    """Its port.  Each client is answered one byte and left when it has ended; after the last it is gone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    thread = threading.Thread(target=_serve, args=(listener, clients, context))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            # Where it still waits for a client.
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, clients: int, context: ssl.SSLContext | None) -> None:
    with listener, suppress(OSError):
        for served in range(clients):
            sock, _ = listener.accept()
            if served == clients - 1:
                listener.close()
            with sock if context is None else context.wrap_socket(sock, server_side=True) as stream:
                stream.recv(QUESTION)
                stream.sendall(b"\0")
                stream.recv(1)


@contextmanager
def interrupted() -> Iterator[None]:
    """A block that a signal's handler ends with InterruptedError, by and by."""

    def raise_it(number: int, frame: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, raise_it)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(InterruptedError):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

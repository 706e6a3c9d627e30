"""The web server of `fastnlb demo`: one friendly line for any request, in a process of its own.

It ends when the pipe to the command does, however the command ended.
"""

from __future__ import annotations

import os
import signal
import socketserver
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NoReturn

from fastnlb.master.process import set_title

_MAX_BODY = 1 << 20


class DemoServer:
    """Forked at once; `port` is on the loopback interface."""

    def __init__(self) -> None:
        server = _Server(("127.0.0.1", 0), _Handler)
        self.port: int = server.server_address[1]
        stay, self._leave = os.pipe()
        # A Ctrl-C between the fork and the child's own dispositions would end it with a traceback.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._leave)
            _run(server, stay)
        signal.signal(signal.SIGINT, previous)
        os.close(stay)
        server.server_close()

    def disinherit(self) -> None:
        """For a worker, whose copy of the pipe would keep the server alive."""
        os.close(self._leave)

    def close(self) -> None:
        """Ends the server and waits for it."""
        os.close(self._leave)
        with suppress(ChildProcessError):  # the master reaps every child it finds
            os.waitpid(self._pid, 0)


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024

    def server_bind(self) -> None:
        # HTTPServer asks the DNS for the name of the address, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fastnlb-demo"
    disable_nagle_algorithm = True
    wbufsize = 65536  # head and body in one packet
    timeout = 120

    def answer(self) -> None:
        if not self._skip_body():
            self.close_connection = True
        body = f"Hello from behind fastnlb: you asked to {self.command} {self.path}\n".encode("utf-8", "replace")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def _skip_body(self) -> bool:
        """Whether the next request can be read from this connection."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > _MAX_BODY:
            return False
        self.rfile.read(int(length))
        return True

    def log_message(self, format: str, *args: object) -> None:
        """The demo's terminal is for the command's own lines."""


def _run(server: _Server, stay: int) -> NoReturn:
    set_title("fastnlb:demo")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(stay, 1)
    os._exit(0)

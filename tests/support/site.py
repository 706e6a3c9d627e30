"""`fastnlb run` with a configuration that tests rewrite, and clients that look at what it serves."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastnlb.tls.material import self_signed
from support.procs import PATIENCE, Program, children, descriptors, wait_for

HEAD = "version: 1\nworkers: 2\ncore_dumps: true\nshutdown_timeout: 5\n"  # core_dumps: the tests look at descriptors


class Site:
    """A folder with a configuration, and the daemon that runs it."""

    wrapper: tuple[str, ...] = ()
    """What the daemon is started through, such as ("-m", "support.own_network") for one without privileges."""

    def __init__(self, folder: Path, server: tuple[str, int]) -> None:
        self.folder, self.server = folder, server
        self.file = folder / "fastnlb.yaml"
        self.program: Program | None = None
        self.new_certificate("first.test")

    # The files

    def new_certificate(self, name: str) -> None:
        """Both files replaced, as a renewal does it."""
        for path, text in zip((self.folder / "www.pem", self.folder / "www.key"), self_signed([name]), strict=True):
            made = path.with_suffix(".new")
            made.touch(mode=0o600)
            made.write_bytes(text)
            made.replace(path)

    def write(self, *ports: int, tls: int = 0, head: str = HEAD, server: tuple[str, int] | None = None) -> None:
        """Plain listeners l0, l1, ... on these ports, and one with TLS; all on one group with one server."""
        host, port = server or self.server
        text = head + "certificates: [{name: www, certificate: www.pem, private_key: www.key}]\n"
        text += f"server_groups: [{{name: g, servers: [{{address: {host}, port: {port}}}]}}]\nlisteners:\n"
        common = "address: 127.0.0.1, server_group: g"
        for number, each in enumerate(ports):
            text += f"  - {{name: l{number}, protocol: TCP, {common}, port: {each}}}\n"
        if tls:
            text += f"  - {{name: tls, protocol: TCPSSL, {common}, port: {tls}, certificate: www}}\n"
        self.file.write_text(text)

    # The daemon

    @property
    def command(self) -> list[str]:
        return [*self.wrapper, "-m", "fastnlb", "run", "-c", str(self.file)]

    def start(self, ready_within: float = PATIENCE, **env: str) -> Program:
        self.program = Program(self.command, self.folder / "output", env)
        self.program.wait_line("ready", ready_within)
        self.wait_count("control started", 1)
        return self.program

    def end(self) -> None:
        """Kills it, if it was started; nobody may ever have been shown a traceback."""
        if self.program is not None:
            self.program.kill()
            assert "Traceback" not in self.program.output()

    def count(self, words: str) -> int:
        return sum(words in line for line in self.running.lines())

    def wait_count(self, words: str, count: int) -> None:
        try:
            wait_for(lambda: self.count(words) >= count, f"{words!r}, {count} times")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.running.output()}") from None

    def reload(self) -> None:
        self.running.signal(signal.SIGHUP)

    def reload_done(self) -> None:
        """A reload that must be applied, to its end."""
        before = self.count("reloaded: ")
        self.reload()
        self.wait_count("reloaded: ", before + 1)

    @property
    def running(self) -> Program:
        assert self.program is not None
        return self.program

    @property
    def control(self) -> int:
        """The pid of the newest control process."""
        started = [line for line in self.running.lines() if "control started" in line]
        return int(started[-1].partition("(pid ")[2].partition(")")[0])

    @property
    def workers(self) -> list[int]:
        return [pid for pid in children(self.running.pid) if pid != self.control]


@contextmanager
def unreadable(site: Site) -> Iterator[Callable[[], object]]:
    """In place of the file a pipe to which nothing is written; the value waits until control reads it."""
    site.file.unlink()
    os.mkfifo(site.file)
    writer = os.open(site.file, os.O_RDWR)  # an open for writing alone would wait for a reader

    def reads() -> bool:
        try:
            return str(site.file) in descriptors(site.control).values()
        except OSError:
            return False  # it is about to have an heir

    yield lambda: wait_for(reads, "control to read")
    site.file.unlink()
    os.close(writer)


@contextmanager
def connection(port: int) -> Iterator[Callable[[bytes], bytes]]:
    """An open connection; the value sends a line and gives what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:

        def exchange(line: bytes) -> bytes:
            sock.sendall(line)
            answer = b""
            while len(answer) < len(line) and (data := sock.recv(1000)):
                answer += data
            return answer

        assert exchange(b"hello") == b"hello"
        yield exchange


def serves(port: int) -> bool:
    try:
        with connection(port):
            return True
    except (OSError, AssertionError):
        return False


def tls_client(port: int) -> ssl.SSLSocket:
    context = ssl._create_unverified_context()  # noqa: S323 - what it is given is what is looked at
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))


def certificate_of(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))


def certificate_in(folder: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / "www.pem").read_text())

"""A name server on loopback, UDP and TCP on one port, whose records and moods the test changes at any time."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

ANSWER, SILENT, SERVFAIL, NXDOMAIN = "answer", "silent", "servfail", "nxdomain"


class NameServer:
    """`records`: name -> addresses of both kinds; a name that is missing does not exist.

    `mood` is what it does with every question; `silent_for` names kinds (such as AAAA) that go without an answer.
    With `truncate` only TCP gets records.  `asked` counts the questions for (name, kind), `tcp` those over TCP.
    """

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.aliases: dict[str, tuple[str, int]] = {}  # name -> (what it stands for, TTL)
        self.ttl = 1
        self.mood = ANSWER
        self.silent_for: set[str] = set()
        self.truncate = False
        self.asked: Counter[tuple[str, str]] = Counter()
        self.tcp = 0
        self.tcp_socket, self._udp = _bound()
        self.port = int(self._udp.getsockname()[1])

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def reply(self, wire: bytes, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        self.tcp += tcp
        if self.mood == SILENT or kind in self.silent_for:
            return None
        return self._answer(query, name, question.rdtype, tcp).to_wire()

    def _answer(
        self, query: dns.message.Message, name: str, kind: dns.rdatatype.RdataType, tcp: bool
    ) -> dns.message.Message:
        answer = dns.message.make_response(query)
        target, ttl = self.aliases.get(name, (name, 0))
        if self.mood == SERVFAIL:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif self.mood == NXDOMAIN or target not in self.records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif self.truncate and not tcp:
            answer.flags |= dns.flags.TC
        else:
            if target != name:
                answer.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", "CNAME", f"{target}."))
            wanted = [each for each in self.records[target] if (":" in each) == (kind == dns.rdatatype.AAAA)]
            if wanted:
                answer.answer.append(dns.rrset.from_text_list(f"{target}.", self.ttl, "IN", kind, wanted))
        return answer

    # Running

    def serve_udp(self) -> None:
        while True:
            wire, client = self._udp.recvfrom(4096)
            if not wire:
                return
            if answer := self.reply(wire, tcp=False):
                self._udp.sendto(answer, client)

    def stop_udp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))

    def close(self) -> None:
        self._udp.close()


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, server: NameServer) -> None:
        self.names = server
        super().__init__(("127.0.0.1", server.port), _Stream, bind_and_activate=False)
        self.socket.close()
        self.socket = server.tcp_socket


class _Stream(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Tcp)
        while len(head := self.rfile.read(2)) == 2:
            answer = self.server.names.reply(self.rfile.read(int.from_bytes(head, "big")), tcp=True)
            if answer is not None:
                self.wfile.write(len(answer).to_bytes(2, "big") + answer)


def _bound() -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on one port that was free for both."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp


@contextmanager
def name_server() -> Iterator[NameServer]:
    """A NameServer for the length of a block."""
    server = NameServer()
    with _Tcp(server) as tcp:
        threads = [
            threading.Thread(target=server.serve_udp),
            threading.Thread(target=tcp.serve_forever, args=(0.05,)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            tcp.shutdown()
            server.stop_udp()
            for thread in threads:
                thread.join()
            server.close()

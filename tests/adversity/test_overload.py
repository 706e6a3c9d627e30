"""Storms of clients that never come through their handshake: genuine ones do, and established ones go on.

Clients that keep the worker waiting have a place until it is needed, so every test here is at a limit: of pending
connections, or of descriptors.
"""

import contextlib
import resource
import socket
import threading

import pytest
from OpenSSL import SSL
from support import servers
from support.certs import Issued
from support.daemon import quick
from support.procs import wait_for
from support.rig import echo
from support.tls_client import TlsClient, reset
from support.tls_rig import certificate

from fastnlb.model import DEFAULT_SECURITY_POLICY
from fastnlb.tls.contexts import server_context
from fastnlb.tls.policies import SYSTEM

LIMIT = 8
GENUINE = 6
BACKLOG = 900


def client_hello(one):
    client = one.tls_client()
    with contextlib.suppress(SSL.WantReadError):
        client.tls.do_handshake()
    client.socket.close()
    return client.outgoing()


def talk(client, text):
    client.send(text)
    assert client.receive_exactly(len(text)) == text


STALLED = {
    "silent": lambda hello: b"",
    "part of a hello": lambda hello: hello[:20],
    "half-open": lambda hello: hello,
}


@pytest.fixture(params=STALLED)
def opening(request):
    """What such a client makes of a ClientHello."""
    return STALLED[request.param]


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def heavy():
    """The context of a certificate whose every handshake takes longer than a turn's budget."""
    issued = Issued.root().issue("localhost", key="RSA-4096")
    return server_context(certificate("heavy", issued), SYSTEM[DEFAULT_SECURITY_POLICY])


class Storm:
    """Clients that stall; as soon as one is reset another comes in its place."""

    def __init__(self, address, opening, count):
        self._address, self._opening = address, opening
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._end.is_set():
            with contextlib.suppress(OSError), socket.create_connection(self._address, timeout=20) as sock:
                sock.sendall(self._opening)
                sock.settimeout(0.05)
                while not self._end.is_set():
                    with contextlib.suppress(TimeoutError):
                        if not sock.recv(65536):
                            break

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(30)


@pytest.fixture
def storm():
    """storm(address, opening, count) blows until the test ends."""
    made = []

    def start(*arguments):
        made.append(Storm(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def assert_through(one, storm, opening, count):
    """With so many that stall, genuine clients come through and one that was there before is served."""
    early = one.tls_client().handshake()
    hello = client_hello(one)
    wind = storm(one.address, opening(hello), count)
    one.wait_for(accept_pauses=1)
    for number in range(GENUINE):
        talk(early, b"%d" % number)
        client = one.tls_client().handshake()
        talk(client, b"genuine")
        client.close()
    talk(early, b"still here")
    early.close()
    wind.stop()
    # The kernel's queue is in order: whoever stood in it before this client has been accepted when it is served.
    talk(one.tls_client().handshake(), b"the last")
    assert one.counters()["handshakes"] == GENUINE + 2
    assert one.counters()["handshakes_evicted"] > 0
    one.close_clients()
    one.wait_nothing_held()
    assert one.counters()["handshakes_pending"] == one.counters()["handshakes_queued"] == 0


def test_at_the_limit_of_pending_connections(rig, backend, material, storm, opening):
    one = rig([backend(echo).address], material.server_context(), handshake_limit=LIMIT, handshake_ms=60_000)
    assert_through(one, storm, opening, LIMIT + 4)


def test_at_the_limit_of_descriptors(rig, backend, material, storm, opening):
    """Twelve connections have room, an established one included."""
    one = rig([backend(echo).address], material.server_context(), descriptor_limit=24, handshake_ms=60_000)
    assert_through(one, storm, opening, 16)


def test_places_that_nobody_needs_are_not_taken_from_anybody(rig, backend, material):
    """So many silent ones as there are places stay, however long, and come through when they speak at last."""
    one = rig([backend(echo).address], material.server_context(), handshake_limit=LIMIT)
    with one.paused():  # a crowd, of which it accepts more at a time than fit
        clients = [one.tls_client() for _ in range(LIMIT)]
    one.wait_for(handshakes_pending=LIMIT, accept_pauses=1)
    # It looks ten times a second whether it may go on; each look is a turn.
    one.wait_for(turns=one.counters()["turns"] + 10)
    for client in clients:
        talk(client.handshake(), b"at last")
        client.close()
    assert one.counters()["handshakes_evicted"] == 0


def test_a_plain_listener_without_proxy_headers_has_nobody_pending(rig, backend):
    one = rig([backend(echo).address], handshake_limit=1)
    clients = [one.connect() for _ in range(20)]
    for client in clients:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert one.counters()["accept_pauses"] == one.counters()["handshakes_pending"] == 0


@pytest.mark.parametrize("ending", ["FIN", "RST"])
def test_a_client_that_leaves_before_its_turn_costs_no_handshake(rig, backend, material, ending):
    """It gets not a byte of an answer, as none was made."""
    one = rig([backend(echo).address], material.server_context())
    hello = client_hello(one)
    one.wait_idle()
    before = one.counters()["handshakes_aborted"]
    one.pause()
    clients = [one.connect() for _ in range(30)]
    for client in clients:
        client.sendall(hello)
        client.shutdown(socket.SHUT_WR) if ending == "FIN" else reset(client)
    one.start()
    one.wait_for(handshakes_aborted=before + 30)
    for client in clients if ending == "FIN" else []:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert one.counters()["handshakes_failed"] == 0


def test_a_turn_ends_when_its_budget_of_handshakes_is_used_up(rig, backend, heavy):
    """Whatever waits in the kernel when the engine begins: relays come between any two of these handshakes."""
    one = rig([backend(echo).address], heavy)
    hello = client_hello(one)
    one.wait_idle()
    one.pause()
    stalled = [one.connect() for _ in range(30)]
    for client in stalled:
        client.sendall(hello)
    turns = one.counters()["turns"]
    one.start()
    for client in stalled:
        assert client.recv(1)
    assert one.counters()["turns"] - turns >= len(stalled)


@pytest.fixture
def backlog(rig, backend, heavy, many_descriptors):
    """A rig with so much to do that it will take a second or more, and a good part of it behind it."""

    def start(**options):
        one = rig([backend(echo).address], heavy, handshake_ms=60_000, **options)
        hello = client_hello(one)
        one.wait_idle()
        one.pause()
        for _ in range(BACKLOG):
            one.connect().sendall(hello)
        turns = one.counters()["turns"]
        one.start()
        one.wait_for(turns=turns + BACKLOG // 3)
        return one

    return start


def test_a_worker_that_is_behind_serves_who_came_last(backlog):
    one = backlog()
    genuine = one.tls_client().handshake()
    talk(genuine, b"genuine")
    assert one.counters()["handshakes_queued"] > 0
    genuine.close()


def test_a_worker_that_is_behind_makes_room_too(backlog):
    """First go those that keep it waiting, then those that it could not serve in time."""
    one = backlog(handshake_limit=BACKLOG)
    more = [one.connect() for _ in range(BACKLOG // 2)]
    one.wait_for(handshakes_shed=1)
    one.wait_for(accepted=BACKLOG + len(more))
    assert one.counters()["handshakes_evicted"] > 0


def test_the_daemon_goes_on_at_its_descriptor_limit_and_says_so_once(tmp_path, material):
    material.write(tmp_path)
    with (
        servers.running("echo", tmp_path) as server,
        quick(tmp_path, [server], workers=1, descriptor_limit=256) as daemon,
    ):
        early = [TlsClient(daemon.address).handshake() for _ in range(20)]
        silent = [socket.create_connection(daemon.address) for _ in range(200)]
        wait_for(lambda: daemon.total()["handshakes_evicted"], "places to be made")
        for _ in range(GENUINE):
            client = TlsClient(daemon.address).handshake()
            talk(client, b"genuine")
            client.close()
        for client in early:
            talk(client, b"never left")
        assert daemon.total()["handshakes"] == 20 + GENUINE
        for client in [*early, *silent]:
            client.close()
        daemon.assert_nothing_held()
        said = [line for line in daemon.program.lines() if "handshake" in line and "make room" in line]
        assert len(said) == 1, daemon.program.output()

"""A crowd of idle TLS connections costs little memory, and each of them is served when it speaks.

5,000 connections, or as many as the descriptor limit carries: a client needs one descriptor each, a worker two for
each of its own, which are somewhat more than half of all; 20,000 descriptors carry 5,000 with ease, 4,096 about
3,000.  Below 1,000 the test says that it proves nothing.  The server runs in a process of its own.
"""

import resource
import socket
import ssl
import time

import pytest
from support import servers
from support.daemon import quick, resident_kib
from support.procs import wait_steady
from support.rig import held

from fastnlb._core.engine import DEBUG_BUILD

CROWD = 5000
SILENT_CROWD = 10_000
SILENCE = 2.5  # seconds
SMALLEST_CROWD = 1000
SPARE_DESCRIPTORS = 300
# The sanitizers keep what was freed, and surround what was not.
MOST_KIB = 400 if DEBUG_BUILD else 32


@pytest.fixture
def crowd_size(request):
    """How many fit; the soft limit of this process is raised meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    size = min(getattr(request, "param", CROWD), int((hard - SPARE_DESCRIPTORS) / 1.2))
    assert size >= SMALLEST_CROWD, f"a descriptor limit of {hard} is too small for {SMALLEST_CROWD} connections"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield size
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def crowd():
    """Connections that are closed at the end, whatever happens."""
    made = []
    yield made
    for client in made:
        client.close()


def connect(daemon, context):
    sock = socket.create_connection(daemon.address, timeout=30)
    return context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.skipif(DEBUG_BUILD, reason="the sanitizers keep what was freed, so resident memory says nothing")
def test_a_connection_that_was_busy_once_is_light_again(tmp_path, material, crowd):
    """The TLS library never shrinks a buffer it has grown."""
    size, count = 60_000, 300
    material.write(tmp_path)
    context = material.client_context(ssl.TLSVersion.TLSv1_3)
    with servers.running("echo", tmp_path) as server, quick(tmp_path, [server], workers=1) as daemon:
        before = resident_kib(daemon.workers[0])
        for _ in range(count):
            crowd.append(connect(daemon, context))
            crowd[-1].sendall(b"b" * size)
            got = 0
            while got < size:
                got += len(crowd[-1].recv(size))
        daemon.wait_numbers(connections=count, buffers_lent=0, large_buffers_lent=0, tls_resting=count)
        each = (resident_kib(daemon.workers[0]) - before) / count
        assert each < MOST_KIB, f"{each:.1f} KiB for each connection after {size} bytes each way"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("crowd_size", [SILENT_CROWD], indirect=True)
def test_ten_thousand_silent_connections_wake_nobody(tmp_path, crowd_size, crowd):
    """Each has a timer of its own and probes of the kernel's; the loops sleep all the same."""
    with servers.running("echo", tmp_path) as server, quick(tmp_path, [server], "--protocol", "TCP") as daemon:
        for _ in range(crowd_size):
            crowd.append(socket.create_connection(daemon.address, timeout=30))
        daemon.wait_numbers(connections=crowd_size, connects=crowd_size, timers=crowd_size)
        # Timers of what is behind a connection may still run out: its connecting, the seconds before it has probes.
        before = wait_steady(lambda: daemon.total()["turns"], "the loops", quiet=6)
        time.sleep(SILENCE)
        assert daemon.total()["turns"] == before
        crowd[0].sendall(b"x")
        assert crowd[0].recv(1) == b"x"
        assert daemon.total()["turns"] > before


@pytest.mark.timeout(240)
def test_thousands_of_idle_connections_are_light_and_alive(tmp_path, material, crowd_size, crowd):
    material.write(tmp_path)
    contexts = [material.client_context(version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    with servers.running("echo", tmp_path) as server, quick(tmp_path, [server]) as daemon:
        before = sum(map(resident_kib, daemon.workers))
        for number in range(crowd_size):
            crowd.append(connect(daemon, contexts[number % 2]))
        numbers = daemon.wait_numbers(connections=crowd_size, handshakes=crowd_size, tls_resting=crowd_size)
        assert numbers["descriptors"] == 2 * crowd_size
        assert held(numbers) == 0
        each = (sum(map(resident_kib, daemon.workers)) - before) / crowd_size
        assert each < MOST_KIB, f"{each:.1f} KiB for each of {crowd_size} idle connections"

        for wave in range(2):
            for number, client in enumerate(crowd):
                client.sendall(b"%d of wave %d" % (number, wave))
            for number, client in enumerate(crowd):
                assert client.recv(100) == b"%d of wave %d" % (number, wave)
        shares = [row["accepted"] for row in daemon.rows()]
        assert min(shares) > crowd_size / 4, shares
        assert sum(shares) == crowd_size

        while crowd:
            crowd.pop().close()
        daemon.assert_nothing_held()
        numbers = daemon.total()
        assert numbers["closed_clean"] == numbers["accepted"] == crowd_size
        after = (sum(map(resident_kib, daemon.workers)) - before) / crowd_size
        assert after < MOST_KIB, f"{after:.1f} KiB for each of {crowd_size} connections that are gone"

"""Servers without a port of their own are connected to on the port that the client came to."""

import pytest
from support.procs import free_port
from support.rig import echo

ELSEWHERE = "127.0.0.2"


def greeting(one):
    with one.connect() as client:
        return client.recv(100)


@pytest.mark.parametrize("host", [ELSEWHERE, "::1"])
@pytest.mark.parametrize("scheduler", ["wrr", "wlc", "sch", "tch"])
def test_the_port_is_the_clients(rig, backend, host, scheduler):
    try:
        free_port(host)
    except OSError:
        pytest.skip("this machine has no IPv6")
    one = rig([(host, 0)], group={"scheduler": scheduler})
    backend(lambda sock: sock.sendall(b"%d" % sock.getsockname()[1]), host=host, port=one.port)
    assert greeting(one) == b"%d" % one.port


def test_each_listener_has_its_own(rig, backend):
    one = rig([(ELSEWHERE, 0)], limits=[(0, 0), (0, 0)])
    for _, port in one.addresses:
        backend(lambda sock: sock.sendall(b"%d" % sock.getsockname()[1]), host=ELSEWHERE, port=port)
    for listener, (_, port) in enumerate(one.addresses):
        with one.connect(listener) as client:
            assert client.recv(100) == b"%d" % port


def test_the_next_server_is_tried_on_the_same_port(rig, backend):
    one = rig([("127.0.0.3", 0), (ELSEWHERE, 0)])
    backend(lambda sock: sock.sendall(b"here"), host=ELSEWHERE, port=one.port)
    assert [greeting(one) for _ in range(4)] == [b"here"] * 4
    assert one.counters()["connects_failed"] == 2


def test_with_tls_too(rig, backend, material):
    one = rig([(ELSEWHERE, 0)], material.server_context())
    backend(echo, host=ELSEWHERE, port=one.port)
    client = one.tls_client()
    client.handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"


def test_a_server_with_a_port_keeps_it(rig, backend):
    one = rig([backend(lambda sock: sock.sendall(b"own")).address])
    assert greeting(one) == b"own"

"""Arrivals at their times: each is a unit or a failure, and what a server does does not slow them down."""

import socket

import pytest
from support.load import client_context, interrupted
from support.procs import free_port

load = pytest.importorskip("bench._load", reason="the load generator is not built (FASTNLB_BENCH=1)")


@pytest.mark.parametrize("kind", ["full", "half", "silent"])
def test_arrivals_at_a_proxy(proxy, version, kind):
    daemon = proxy()
    target = load.Target("127.0.0.1", daemon.port, client_context(version))
    outcome = load.arrivals(target, per_second=200, seconds=0.5, kind=kind)
    assert (outcome.units, outcome.failed) == (100, 0)
    total = daemon.wait_numbers(connections=0, accepted=100)
    assert total["handshakes"] == (100 if kind == "full" else 0)


@pytest.mark.parametrize("kind", ["full", "silent"])
def test_plain_arrivals(origin_port, kind):
    outcome = load.arrivals(load.Target("127.0.0.1", origin_port), per_second=300, seconds=0.2, kind=kind)
    assert (outcome.units, outcome.failed) == (60, 0)


@pytest.mark.parametrize("kind", ["full", "half", "silent"])
def test_nobody_there_are_failures(kind):
    target = load.Target("127.0.0.1", free_port(), client_context())
    outcome = load.arrivals(target, per_second=1000, seconds=0.05, kind=kind)
    assert (outcome.units, outcome.failed) == (0, 50)


def test_a_full_queue_keeps_nobody_from_coming_on_time(black_hole):
    host, port = black_hole
    outcome = load.arrivals(load.Target(host, port), per_second=100, seconds=0.2, kind="silent")
    assert outcome.units + outcome.failed == 20


def test_a_half_one_says_a_whole_client_hello_and_no_more():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = load.Target("127.0.0.1", listener.getsockname()[1], client_context())
        assert load.arrivals(target, per_second=1, seconds=1, kind="half").units == 1
        sock, _ = listener.accept()
        with sock:
            said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert said[0] == 22 and said[5] == 1
    assert len(said) == 5 + int.from_bytes(said[3:5])


def test_a_signal_is_heard_meanwhile(origin_port):
    with interrupted():
        load.arrivals(load.Target("127.0.0.1", origin_port), per_second=1, seconds=60, kind="full")


def test_wishes_that_make_no_sense_are_refused(origin_port):
    target = load.Target("127.0.0.1", origin_port)
    for rate, seconds, kind in ((0, 1, "full"), (1, 0, "full"), (1, 1, "odd"), (1, 1, "half")):
        with pytest.raises(ValueError):
            load.arrivals(target, per_second=rate, seconds=seconds, kind=kind)

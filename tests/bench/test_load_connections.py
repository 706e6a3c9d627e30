"""Whole connections, one after the other: counted when they were good, failed in any other way, never for ever."""

import socket
import ssl

import pytest
from support.load import brief_server, client_context, interrupted
from support.procs import free_port

load = pytest.importorskip("bench._load", reason="the load generator is not built (FASTNLB_BENCH=1)")


def tls_server(tmp_path, material, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*material.write(tmp_path))
    for name, value in options.items():
        setattr(context, name, value)
    return context


def test_connections_to_the_origin_itself_end_at_their_count(origin_port):
    outcome = load.connections(load.Target("127.0.0.1", origin_port), at_a_time=5, count=200)
    assert (outcome.units, outcome.failed, outcome.bytes) == (200, 0, 200)
    assert outcome.latencies_us == sorted(outcome.latencies_us) and len(outcome.latencies_us) == 200
    assert 0 < outcome.at(0) <= outcome.at(0.5) <= outcome.at(1) == outcome.latencies_us[-1]


def test_connections_end_at_their_time(origin_port):
    outcome = load.connections(load.Target("127.0.0.1", origin_port), seconds=0.1)
    assert outcome.units > 0 and outcome.failed == 0 and outcome.seconds >= 0.1


def test_plain_connections_through_a_proxy(proxy):
    daemon = proxy("--protocol", "TCP")
    outcome = load.connections(load.Target("127.0.0.1", daemon.port), at_a_time=8, count=100)
    assert (outcome.units, outcome.failed) == (100, 0)
    assert daemon.total()["accepted"] == 100


@pytest.mark.parametrize("resume", [False, True])
def test_handshakes_through_a_proxy(proxy, version, resume):
    daemon = proxy()
    target = load.Target("127.0.0.1", daemon.port, client_context(version))
    outcome = load.connections(target, at_a_time=4, count=50, resume=resume)
    assert (outcome.units, outcome.failed) == (50, 0)
    assert daemon.total()["handshakes_resumed"] == (50 if resume else 0)


def test_a_connection_that_was_not_resumed_has_failed(tmp_path, material):
    context = tls_server(tmp_path, material, num_tickets=0, minimum_version=ssl.TLSVersion.TLSv1_3)
    with brief_server(4, context) as port:
        outcome = load.connections(load.Target("127.0.0.1", port, client_context()), count=3, resume=True)
    assert (outcome.units, outcome.failed) == (0, 3)


def test_names_are_asked_for_in_turn(tmp_path, material):
    asked = []
    context = tls_server(tmp_path, material, sni_callback=lambda _, name, __: asked.append(name))
    with brief_server(5, context) as port:
        target = load.Target("127.0.0.1", port, client_context(), ["one.test", "two.test"])
        assert load.connections(target, count=5).units == 5
    assert asked == ["one.test", "two.test", "one.test", "two.test", "one.test"]


def test_a_server_that_goes_leaves_failures(material):
    with brief_server(3) as port:
        outcome = load.connections(load.Target("127.0.0.1", port), count=7)
    assert (outcome.units, outcome.failed) == (3, 4)


@pytest.mark.parametrize("context", [None, client_context()], ids=["plain", "tls"])
def test_nobody_there_is_a_bounded_number_of_failures(context):
    target = load.Target("127.0.0.1", free_port(), context)
    outcome = load.connections(target, at_a_time=3, seconds=0.2)
    assert outcome.units == 0 and 3 <= outcome.failed <= 3 * 25
    with pytest.raises(ValueError, match="no unit was done"):
        outcome.at(0.5)


@pytest.mark.slow
def test_an_answer_that_never_comes_is_not_waited_for(material):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = load.Target("127.0.0.1", listener.getsockname()[1], client_context())
        outcome = load.connections(target, at_a_time=2, count=2)
    assert (outcome.units, outcome.failed) == (0, 2)


def test_a_signal_is_heard_meanwhile(origin_port):
    with interrupted():
        load.connections(load.Target("127.0.0.1", origin_port), seconds=60)


def test_wishes_that_make_no_sense_are_refused(origin_port):
    target = load.Target("127.0.0.1", origin_port)
    for wrong in ({}, {"seconds": -1.0}, {"count": 1, "at_a_time": 0}, {"count": 1, "resume": True}):
        with pytest.raises(ValueError):
            load.connections(target, **wrong)
    for address, port, names in (("localhost", 1, ()), ("127.0.0.1", 0, ()), ("127.0.0.1", 1, ("a.test",))):
        with pytest.raises(ValueError):
            load.Target(address, port, None, names)


def test_a_server_with_an_ipv6_address():
    with brief_server(2, host="::1") as port:
        assert load.connections(load.Target("::1", port), count=2).units == 2

"""The relay and the end of a connection, told as scripts: what each side answers, what must come of it."""

import socket
from pathlib import Path

import pytest
from fastnlb._core._testing import ORDINARY_BYTES, RelayProbe

from fastnlb._core.defs import ConnState, Fault

RELAY, DRAIN, CLOSED = ConnState.CONN_RELAY, ConnState.CONN_DRAIN, ConnState.CONN_CLOSED
CLIENT, SERVER = 0, 1
TAKES_ALL = [("moved", 1 << 20)] * 8


def counting(size):
    return bytes(i % 251 for i in range(size))


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def probe(client=None, server=None, **options):
    return RelayProbe(client or {}, server or {}, **options)


def test_bytes_of_both_sides_arrive_in_order():
    relay = probe(
        {"pull": [("moved", 1000), ("moved", 500)], "push": TAKES_ALL}, {"pull": [("moved", 700)], "push": TAKES_ALL}
    )
    assert relay.advance() == RELAY
    assert relay.received(SERVER) == counting(1500)
    assert relay.received(CLIENT) == counting(700)
    assert relay.buffers_lent == 0


def test_a_partly_taken_buffer_goes_on_where_it_stopped():
    relay = probe({"pull": [("moved", 1000)]}, {"push": [("moved", 10), ("moved", 300), "want_write"]})
    relay.advance()
    assert relay.received(SERVER) == counting(310)
    relay.script(SERVER, push=TAKES_ALL)
    relay.advance()
    assert relay.received(SERVER) == counting(1000)


def test_a_full_side_stops_the_reading_of_the_other():
    relay = probe({"pull": [("moved", 1000)] * 5}, {"push": ["want_write"]})
    relay.advance()
    assert relay.calls(CLIENT)["pulls"] == 1
    relay.advance()
    assert relay.calls(CLIENT)["pulls"] == 1
    assert relay.buffers_lent == 1


def test_a_budget_that_runs_out_queues_the_rest_for_the_next_turn():
    relay = probe({"pull": [("moved", 65536)] * 8}, {"push": TAKES_ALL})
    relay.advance()
    assert relay.queued == 1
    first = len(relay.received(SERVER))
    assert 0 < first < 8 * 65536
    while relay.advance_queued():
        pass
    assert len(relay.received(SERVER)) == 8 * 65536


def test_who_fills_a_buffer_gets_a_larger_one_until_a_read_is_small():
    full = ("moved", ORDINARY_BYTES)
    relay = probe({"pull": [full, full]}, {"push": [full, "want_write"]})
    relay.advance()
    assert (relay.buffers_lent, relay.large_lent) == (1, 1)
    relay.script(SERVER, push=[full, ("moved", 9), "want_write"])
    relay.script(CLIENT, pull=[("moved", 9), ("moved", 9)])
    relay.advance()
    assert (relay.buffers_lent, relay.large_lent) == (1, 0)
    relay.script(SERVER, push=TAKES_ALL)
    relay.advance()
    assert len(relay.received(SERVER)) == 2 * ORDINARY_BYTES + 18
    assert relay.buffers_lent == 0


def test_the_end_of_one_stream_is_passed_on_while_the_other_goes_on():
    relay = probe({"pull": [("moved", 10), "eof"]}, {"push": TAKES_ALL, "pull": ["want_read"]})
    assert relay.advance() == RELAY
    assert relay.calls(SERVER)["shuts"] == 1
    relay.script(SERVER, pull=[("moved", 20), "eof"])
    relay.script(CLIENT, push=TAKES_ALL)
    assert relay.advance() == CLOSED
    assert len(relay.received(CLIENT)) == 20
    assert relay.calls(CLIENT)["shuts"] == 1
    assert relay.open_descriptors == 0
    assert relay.fault == Fault.FAULT_NONE


def test_the_end_of_a_stream_waits_for_the_bytes_before_it():
    relay = probe({"pull": [("moved", 10), "eof"]}, {"push": ["want_write"]})
    relay.advance()
    assert relay.calls(SERVER)["shuts"] == 0
    relay.script(SERVER, push=TAKES_ALL)
    relay.script(CLIENT, pull=["eof"])
    relay.advance()
    assert relay.calls(SERVER)["shuts"] == 1


def test_bytes_read_before_a_reset_are_passed_on_before_the_reset_is():
    relay = probe({"push": ["want_write"]}, {"pull": [("moved", 100), ("fault", Fault.FAULT_RESET)]})
    assert relay.advance() == RELAY
    relay.script(CLIENT, push=["want_write"])
    assert relay.advance() == RELAY, "the fault is not seen while bytes are held"
    relay.script(CLIENT, push=TAKES_ALL)
    relay.script(SERVER, pull=[("fault", Fault.FAULT_RESET)])
    assert relay.advance() == CLOSED
    assert len(relay.received(CLIENT)) == 100
    assert relay.fault == Fault.FAULT_RESET


def test_a_reset_is_relayed_as_a_reset():
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    listener.close()
    ours.setblocking(False)
    relay = probe({}, {"pull": [("fault", Fault.FAULT_RESET)]}, client_fd=ours.detach())
    assert relay.advance() == CLOSED
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    peer.close()


def test_a_sink_that_breaks_does_not_stop_what_its_peer_still_sends():
    relay = probe({"pull": [("moved", 10)], "push": TAKES_ALL}, {"push": ["fault"], "pull": [("moved", 30), "eof"]})
    relay.advance()
    assert len(relay.received(CLIENT)) == 30
    assert relay.calls(CLIENT)["shuts"] == 1
    assert relay.state in (DRAIN, CLOSED)


def test_idle_is_measured_from_the_last_byte_in_either_direction():
    relay = probe({"push": TAKES_ALL}, {"pull": [("moved", 1)]}, idle_ms=10_000)
    assert not relay.timer(9_000)
    relay.advance()
    assert relay.timer(10_200)
    assert relay.state == RELAY, "a byte at 9 s moved the deadline to 19 s"
    assert not relay.timer(18_900)
    assert relay.timer(19_300)
    assert relay.fault == Fault.FAULT_IDLE
    assert relay.calls(CLIENT)["shuts"] == relay.calls(SERVER)["shuts"] == 1


def test_a_peer_that_never_ends_its_stream_is_cut_off():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    relay = probe({}, {}, client_fd=ours.detach())
    relay.end(Fault.FAULT_IDLE)
    assert relay.state == DRAIN
    now = 0
    while relay.state == DRAIN:
        now += 100
        relay.timer(now)
    assert 2_000 <= now <= 2_400
    assert relay.open_descriptors == 0
    theirs.close()


def test_descriptors_are_closed_exactly_once():
    before = open_descriptors()
    relay = probe({"pull": ["eof"]}, {"pull": ["eof"]})
    assert relay.advance() == CLOSED
    assert open_descriptors() == before

"""The shared board, and who is given which of its cells."""

import os
from dataclasses import replace

import pytest
from support.procs import descriptors, free_port, listening_inodes

from fastnlb.board import CACHE_LINE, LISTENER_CELLS, SERVER_CELLS, Board, Health, Reason
from fastnlb.master.cells import NO_BOARD, REST_SECONDS, CellBook
from fastnlb.master.fronts import Fronts
from fastnlb.master.listen import CannotListen
from fastnlb.master.process import State, Worker
from fastnlb.master.rollout import Rollout
from fastnlb.master.sockets import SocketTable
from fastnlb.model import Listener, Server, ServerGroup, Snapshot
from fastnlb.stats.ledger import LISTENERS, SERVERS, Ledger, server_name


@pytest.fixture
def board():
    made = Board.create(workers=3)
    yield made
    made.close()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def snapshot(*ports, listeners=("l",)):
    servers = tuple(Server("127.0.0.1", port) for port in ports)
    return Snapshot(
        tuple(Listener(name, "TCP", "127.0.0.1", 1, "g") for name in listeners), (ServerGroup("g", servers),)
    )


def serve(book, wanted):
    cells = book.assign(wanted)
    book.adopt(cells)
    return {port: cell for (_, _, port), cell in cells.servers.items()}


def hold(board, cell, place, count, base=0):
    """What a worker in `place` writes."""
    at = (base + cell) * board.stride + CACHE_LINE + 4 * place
    os.pwrite(board.descriptor, count.to_bytes(4, "little", signed=True), at)


def test_health_is_what_was_said_last(board):
    assert board.health(5) == (Health.INITIAL, Reason.NONE)
    board.set_health(5, Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)
    assert board.health(5) == (Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)
    assert board.health(4) == board.health(6) == (Health.INITIAL, Reason.NONE)


def test_connections_are_the_sum_over_workers_and_a_dead_ones_go(board):
    for cell in (0, 70, SERVER_CELLS - 1):
        hold(board, cell, 0, 2)
        hold(board, cell, 2, 5)
    hold(board, 9, 2, 4, base=SERVER_CELLS)
    assert board.server_connections(70) == 7
    board.clear_place(2)
    assert [board.server_connections(cell) for cell in (0, 70, SERVER_CELLS - 1)] == [2, 2, 2]
    assert board.listener_connections(9) == 0


def test_a_board_takes_memory_for_what_is_used_only(board):
    assert os.fstat(board.descriptor).st_size == (SERVER_CELLS + LISTENER_CELLS) * board.stride + CACHE_LINE
    board.set_health(40_000, Health.HEALTHY)
    board.clear_place(1)
    assert os.fstat(board.descriptor).st_blocks * 512 < 64 * 1024


def test_a_dead_workers_place_stays_taken(board):
    assert board.places_taken() == 0
    os.pwrite(board.descriptor, (3).to_bytes(8, "little"), (SERVER_CELLS + LISTENER_CELLS) * board.stride)
    board.clear_place(2)
    assert board.places_taken() == 3


def test_cells_stay_with_their_servers(board, clock):
    book = CellBook(board, clock)
    first = serve(book, snapshot(1, 2, 3))
    second = serve(book, snapshot(3, 4, 1))
    assert second[1] == first[1]
    assert second[3] == first[3]
    assert second[4] not in first.values()


def test_a_cell_is_given_out_again_only_rested_unused_and_cleared(board, clock):
    book = CellBook(board, clock)
    old = serve(book, snapshot(1))[1]
    board.set_health(old, Health.UNHEALTHY, Reason.CONNECT_FAILED)
    hold(board, old, 0, 1)
    serve(book, snapshot(2))
    clock.now += REST_SECONDS
    assert serve(book, snapshot(2, 3))[3] != old
    hold(board, old, 0, 0)
    assert serve(book, snapshot(2, 3, 4))[4] == old
    assert board.health(old) == (Health.INITIAL, Reason.NONE)


def test_a_change_that_comes_to_nothing_takes_no_cell(board, clock):
    book = CellBook(board, clock)
    served = serve(book, snapshot(1))
    book.assign(snapshot(1, 2, 3))
    assert serve(book, snapshot(1, 4)) == {**served, 4: served[1] + 1}


def test_who_comes_when_the_board_is_full_goes_without(clock, caplog):
    class Small(Board):
        server_cells = 2

    board = Small.create(workers=1)
    cells = serve(CellBook(board, clock), snapshot(1, 2, 3))
    assert sorted(cells.values()) == [-1, 0, 1]
    assert "the shared board is full: 1 servers and listeners go without" in caplog.text
    board.close()


def test_listeners_have_cells_of_their_own(board, clock):
    book = CellBook(board, clock)
    both = book.assign(snapshot(1, listeners=("a", "b")))
    assert sorted(both.listeners.values()) == [0, 1]


def test_the_ledger_is_told_whose_a_cell_is(board, clock):
    ledger = Ledger.create(1, 8, 8)
    book = CellBook(board, clock, ledger)
    serve(book, snapshot(1, listeners=("a", "b")))
    ledger.listeners.add(0, 1, {"accepted": 3})
    ledger.servers.add(0, 0, {"connects": 5})
    serve(book, snapshot(listeners=("a",)))
    book.assign(snapshot(2, listeners=("a", "c")))  # and nothing comes of it
    serve(book, snapshot(2, 1, listeners=("a", "b")))
    assert ledger.totals(LISTENERS) == {"b": {"accepted": 3}}
    assert ledger.totals(SERVERS) == {server_name("g", "127.0.0.1", 1): {"connects": 5}}
    ledger.close()


@pytest.mark.parametrize("limit", [{"cps": 1}, {"max_connections": 1}])
def test_a_limit_without_a_cell_is_refused_and_not_forgotten(limit):
    """There would be none, and nobody would know."""
    rollout = Rollout(1, None, SocketTable(), Fronts(1), CellBook(NO_BOARD), on_done=None, on_failed=None)
    wanted = snapshot(1)
    limited = replace(wanted.listeners[0], port=free_port(), **limit)
    with pytest.raises(CannotListen, match=r"listener l: .* the shared board is full"):
        rollout.apply(replace(wanted, listeners=(limited,)))
    assert not listening_inodes(limited.port)
    assert not rollout.changing


class Broken:
    """A fleet that cannot be told anything, as after a defect of ours."""

    def __init__(self):
        self.workers = {0: Worker(1, 0, "worker 0", None, 0.0, 0, state=State.SERVING)}
        self.sent = []

    def send(self, _worker, kind, fds=(), **_fields):
        self.sent.append(kind)
        if kind == "prepare":
            raise RuntimeError("odd")

    def everyone(self):
        return list(self.workers.values())


def test_a_change_that_cannot_begin_leaves_nothing_behind():
    fleet = Broken()
    rollout = Rollout(1, fleet, SocketTable(), Fronts(1), CellBook(NO_BOARD), on_done=None, on_failed=None)
    wanted = snapshot(1)
    wanted = replace(wanted, listeners=(replace(wanted.listeners[0], port=free_port()),))
    before = descriptors(os.getpid())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="odd"):
            rollout.apply(wanted)
        assert not rollout.changing
    assert fleet.sent == ["sockets", "prepare", "rollback"] * 2
    assert descriptors(os.getpid()) == before

"""The ledger: whose numbers are where, and that none is ever lost."""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from fastnlb.board import LISTENER_CELLS, SERVER_CELLS
from fastnlb.cli.origin import ancestors_page, counters, elders_page
from fastnlb.master.inherit import Predecessor
from fastnlb.stats import ledger as ledger_module
from fastnlb.stats.blocks import LISTENER_NUMBERS
from fastnlb.stats.ledger import LISTENERS, SERVERS, Ledger, server_name
from fastnlb.stats.page import Page
from fastnlb.stats.table import INDEX

INDEX_OF = {cell.name: index for index, cell in enumerate(LISTENER_NUMBERS)}


@pytest.fixture
def make() -> Iterator[Callable[..., Ledger]]:
    made: list[Ledger] = []

    def create(places: int = 2, cells: int = 64) -> Ledger:
        made.append(Ledger.create(places, cells, cells))
        return made[-1]

    yield create
    for each in made:
        each.close()


@pytest.fixture
def ledger(make: Callable[..., Ledger]) -> Ledger:
    return make()


def count(ledger: Ledger, row: int, cell: int, **values: int) -> None:
    """As the core of the worker in `row` does."""
    for name, value in values.items():
        at = ledger.listeners.block_at(row, cell) + 8 * INDEX_OF[name]
        (have,) = struct.unpack("Q", os.pread(ledger.descriptor, 8, at))
        os.pwrite(ledger.descriptor, struct.pack("Q", have + value), at)


def accepted(ledger: Ledger) -> dict[str, int]:
    return {name: numbers["accepted"] for name, numbers in ledger.totals(LISTENERS).items()}


def test_numbers_are_the_sum_over_workers_by_name(ledger: Ledger) -> None:
    ledger.enter_listener(0, "a")
    ledger.enter_listener(5, "b")
    count(ledger, 0, 0, accepted=1)
    count(ledger, 1, 0, accepted=2, bytes_up=7)
    count(ledger, 1, 5, accepted=4)
    assert ledger.totals(LISTENERS) == {"a": {"accepted": 3, "bytes_up": 7}, "b": {"accepted": 4}}
    assert ledger.totals(SERVERS) == {}


def test_a_cell_without_a_name_is_nobodys(ledger: Ledger) -> None:
    count(ledger, 0, 3, accepted=1)
    assert ledger.totals(LISTENERS) == {}


def test_who_comes_back_to_another_cell_goes_on_where_it_was(ledger: Ledger) -> None:
    ledger.enter_listener(0, "a")
    count(ledger, 0, 0, accepted=3)
    ledger.enter_listener(1, "a")
    count(ledger, 0, 1, accepted=1)
    count(ledger, 0, 0, accepted=1)  # a connection that was accepted before
    assert accepted(ledger) == {"a": 5}


def test_who_takes_a_cell_over_begins_at_zero_and_takes_nothing_away(ledger: Ledger) -> None:
    ledger.enter_listener(0, "a")
    count(ledger, 1, 0, accepted=3)
    ledger.enter_listener(1, "a")
    ledger.enter_listener(0, "b")
    count(ledger, 0, 0, accepted=1)
    assert accepted(ledger) == {"a": 3, "b": 1}


def test_what_was_counted_waits_for_a_name_that_has_no_cell(ledger: Ledger) -> None:
    ledger.enter_listener(0, "a")
    count(ledger, 1, 0, accepted=3)
    ledger.enter_listener(0, "b")
    assert accepted(ledger) == {}
    ledger.enter_listener(1, "a")
    assert accepted(ledger) == {"a": 3}
    ledger.enter_listener(1, "a")
    assert accepted(ledger) == {"a": 3}


def test_what_waits_has_an_end(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MOST_REMEMBERED", 2)
    for name in "abcd":
        ledger.enter_listener(0, name)
        count(ledger, 0, 0, accepted=1)
    ledger.enter_listener(0, "e")
    for cell, name in enumerate("abcd", 1):
        ledger.enter_listener(cell, name)
    assert accepted(ledger) == {"c": 1, "d": 1}


def test_what_a_dead_worker_held_is_counted_as_crashed(ledger: Ledger) -> None:
    ledger.enter_listener(2, "a")
    count(ledger, 0, 2, accepted=3, closed_clean=1, connections=2)
    count(ledger, 1, 2, accepted=1, connections=1)
    ledger.bury(0)
    assert ledger.totals(LISTENERS) == {"a": {"accepted": 4, "closed_clean": 1, "closed_crash": 2, "connections": 1}}


def test_servers_of_the_same_address_in_two_groups_are_two(ledger: Ledger) -> None:
    ledger.enter_server(0, "g", "unix:/run/with:colon", 0)
    ledger.enter_server(1, "h", "unix:/run/with:colon", 0)
    ledger.servers.add(0, 0, {"connects": 1})
    assert ledger.totals(SERVERS) == {server_name("g", "unix:/run/with:colon", 0): {"connects": 1}}


def test_memory_is_there_for_what_is_used_only(make: Callable[..., Ledger]) -> None:
    large = Ledger.create(64, LISTENER_CELLS, SERVER_CELLS)
    large.enter_listener(16_000, "a")
    count(large, 63, 16_000, accepted=1)
    assert accepted(large) == {"a": 1}
    large.bury(63)
    assert os.fstat(large.descriptor).st_size > 1 << 30
    assert os.fstat(large.descriptor).st_blocks * 512 < 256 * 1024
    large.close()


def test_a_reader_never_sees_numbers_on_the_way(ledger: Ledger) -> None:
    """The master moves a listener's numbers to and fro while somebody reads."""
    ledger.enter_listener(0, "a")
    count(ledger, 0, 0, accepted=1000)
    reader = Ledger(os.dup(ledger.descriptor))
    seen: set[int] = set()
    enough = threading.Event()

    def read() -> None:
        while not enough.is_set():
            seen.add(accepted(reader).get("a", 0))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=read)
    thread.start()
    for turn in range(300):
        ledger.enter_listener(1 - turn % 2, "a")
        ledger.enter_listener(turn % 2, f"other-{turn}")
    enough.set()
    thread.join()
    sys.setswitchinterval(interval)
    assert seen == {1000}
    reader.close()


# From one process to the next


class Generation:
    """The counters of a process, and what it hands over."""

    def __init__(self, before: Generation | None = None) -> None:
        self.page = Page.create(2, Ledger.create(2, 64, 64))
        self.elder: Page | None = None
        if before is not None:
            heritage = Predecessor(None)  # type: ignore[arg-type]
            estate = counters(before.page, before.elder)
            heritage.facts = estate.facts
            heritage.descriptors = {name: os.dup(number) for name, number in estate.descriptors.items()}
            self.elder = elders_page(heritage)
            ancestor = ancestors_page(heritage)
            if ancestor is not None:
                self.page.remember(ancestor)
                ancestor.close()
            assert heritage.descriptors == {}
        assert self.page.ledger is not None
        self.ledger = self.page.ledger

    def work(self, connections: int) -> None:
        self.ledger.enter_listener(0, "a")
        count(self.ledger, 0, 0, accepted=connections)
        at = 8 * INDEX["accepted"]
        os.pwrite(self.page.descriptor, struct.pack("Q", connections), at)

    def seen(self) -> tuple[int, int]:
        """In the rows, and in the ledger, of this process and the one before."""
        pages = [self.page] if self.elder is None else [self.page, self.elder]
        ledgers = [page.ledger for page in pages if page.ledger is not None]
        return (
            sum(page.history(0)["accepted"] for page in pages),
            sum(each.totals(LISTENERS).get("a", {}).get("accepted", 0) for each in ledgers),
        )

    def close(self) -> None:
        self.page.close()
        if self.elder is not None:
            self.elder.close()


def test_each_process_takes_on_what_those_before_it_have_counted() -> None:
    generations = [Generation()]
    generations[0].work(1)
    for connections in (10, 100, 1000):
        generations.append(Generation(generations[-1]))
        generations[-1].work(connections)
    assert [each.seen() for each in generations] == [(1, 1), (11, 11), (111, 111), (1111, 1111)]
    for each in generations:
        each.close()


def test_another_version_is_read_by_the_names_of_its_numbers() -> None:
    names = ["something", "accepted", "connections"]
    descriptor = os.memfd_create("old")
    os.ftruncate(descriptor, 4 * 64)
    os.pwrite(descriptor, struct.pack("3Q", 1, 2, 3), 64)
    old = Page(descriptor, 2, stride=64, names=names)
    assert (old.row(1)["accepted"], old.row(1)["turns"]) == (2, 0)
    page = Page.create(2)
    page.remember(old)
    assert page.history(1)["accepted"] == 2
    assert page.history(1)["connections"] == 0, "held by nobody any more"
    page.close()
    old.close()


@pytest.mark.parametrize("facts", [{}, {"page": [64, 640]}, {"page": "x"}, {"page": [0, 0, []]}])
def test_what_cannot_be_read_is_closed_and_forgotten(facts: dict[str, object]) -> None:
    heritage = Predecessor(None)  # type: ignore[arg-type]
    heritage.facts = facts
    page, beside = os.memfd_create("page"), os.memfd_create("ledger")
    heritage.descriptors = {"page": page, "ledger": beside}
    assert elders_page(heritage) is None
    for each in (page, beside):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each)

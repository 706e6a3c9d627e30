"""The counter table, what is generated from it, and the shared page."""

import os
import struct

import pytest

from fastnlb.stats import generate
from fastnlb.stats.page import STRIDE, Page
from fastnlb.stats.table import COUNTER, GAUGE, INDEX, NUMBERS


@pytest.fixture
def page():
    made = Page.create(rows=2)
    yield made
    made.close()


def write(page, row, name, value):
    os.pwrite(page.descriptor, struct.pack("=Q", value), row * STRIDE + 8 * INDEX[name])


def test_the_cores_header_is_up_to_date():
    assert generate.COUNTERS_PXD.read_text() == generate.counters_pxd()


def test_the_documentation_is_up_to_date():
    assert generate.METRICS_MD.read_text() == generate.metrics_md()


def test_names_are_unique_and_kinds_known():
    assert len(INDEX) == len(NUMBERS)
    assert {number.kind for number in NUMBERS} == {COUNTER, GAUGE}


def test_rows_are_apart_and_sum_up(page):
    write(page, 0, "accepted", 5)
    write(page, 1, "accepted", 7)
    assert page.row(0)["accepted"] == 5
    assert page.row(1)["accepted"] == 7
    assert page.total()["accepted"] == 12


def test_what_a_dead_worker_held_is_forgotten_and_what_it_counted_is_not(page):
    write(page, 1, "accepted", 7)
    write(page, 1, "connections", 3)
    page.bury(1)
    assert page.row(1)["accepted"] == 7
    assert page.row(1)["connections"] == 0

"""Positions: always rising, and as few new ones as can be."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fastnlb.control.store.order import GAP, placed

POSITIONS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 1 << 40))


@given(POSITIONS, st.lists(st.sampled_from("abcdefghxyz"), unique=True))
def test_positions_rise_in_the_order_of_the_names(before: dict[str, int], names: list[str]) -> None:
    found = placed(before, names)
    assert len(found) == len(names)
    assert all(0 < low < high for low, high in pairwise([0, *found]) if low)


def test_who_was_there_stays_where_it_was() -> None:
    before = {"a": 10 * GAP, "b": 20 * GAP, "c": 30 * GAP}
    assert placed(before, ["a", "b", "c"]) == [10 * GAP, 20 * GAP, 30 * GAP]
    assert placed(before, ["c"]) == [30 * GAP]
    assert placed(before, ["a", "x", "c"]) == [10 * GAP, 20 * GAP, 30 * GAP]
    assert placed(before, ["a", "b", "c", "x"]) == [10 * GAP, 20 * GAP, 30 * GAP, 31 * GAP]
    assert placed(before, ["b", "c", "a"]) == [20 * GAP, 30 * GAP, 31 * GAP]
    assert placed({}, ["a", "b"]) == [GAP, 2 * GAP]


def test_without_room_all_are_placed_anew() -> None:
    assert placed({"a": 5, "b": 6}, ["a", "x", "b"]) == [GAP, 2 * GAP, 3 * GAP]

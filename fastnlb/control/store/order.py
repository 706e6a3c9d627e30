"""Where resources stand among their kind: numbers with room between them, so that a change moves as few as can be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

GAP = 1 << 20


def placed(before: Mapping[str, int], names: Sequence[str]) -> list[int]:
    """A position for each of `names`, rising.  Those that were there `before` keep theirs where the order allows.

    When no room is left between two of them, all get new ones.
    """
    kept = _longest_rising([(index, before[name]) for index, name in enumerate(names) if name in before])
    positions: list[int] = []
    done = 0
    for index, position in [*kept, (len(names), None)]:
        low = positions[-1] if positions else 0
        high = low + GAP * (index - done + 1) if position is None else position
        step = (high - low) // (index - done + 1)
        if step == 0:
            return [GAP * (number + 1) for number in range(len(names))]
        positions += [low + step * (number + 1) for number in range(index - done)]
        if position is not None:
            positions.append(position)
        done = index + 1
    return positions


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of `pairs` whose second members rise (patience sorting)."""
    tops: list[int] = []
    at: list[int] = []  # the pair on top of each pile
    below: list[int] = []  # for each pair the one before it, -1 for none
    for number, (_, position) in enumerate(pairs):
        pile = bisect_left(tops, position)
        below.append(at[pile - 1] if pile else -1)
        tops[pile : pile + 1], at[pile : pile + 1] = [position], [number]
    found = []
    number = at[-1] if at else -1
    while number >= 0:
        found.append(pairs[number])
        number = below[number]
    return found[::-1]

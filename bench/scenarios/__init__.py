"""Every scenario, family by family in the order of the tables."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scenario import Scenario
from bench.scenarios import bulk, certificates, growth, handshakes, latency, memory, messages, plain, reload

__all__ = ["SCENARIOS", "chosen"]

MODULES = (handshakes, bulk, messages, plain, memory, growth, latency, certificates, reload)
SCENARIOS: tuple[Scenario, ...] = tuple(scenario for module in MODULES for scenario in module.SCENARIOS)


def chosen(parts: Sequence[str], *, quick: bool) -> list[Scenario]:
    """Those whose id contains one of the parts (or that are of a family of that name); without parts all.

    Raises ValueError for a part that no scenario has.
    """
    for part in parts:
        if not any(_is_of(each, part) for each in SCENARIOS):
            raise ValueError(f"--only: no scenario has {part!r} in its name; `python -m bench list` shows them")
    if parts:
        return [each for each in SCENARIOS if any(_is_of(each, part) for part in parts)]
    return [each for each in SCENARIOS if each.quick or not quick]


def _is_of(scenario: Scenario, part: str) -> bool:
    return part == scenario.family or part in scenario.id

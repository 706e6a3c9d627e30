"""How a daemon's process came about: by a person, or by a hot restart of the one before."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import click

from fastnlb.master.exits import EXIT_CANNOT_START
from fastnlb.master.inherit import InheritError, Predecessor, receive
from fastnlb.master.upgrade import Command, Estate
from fastnlb.stats.ledger import Ledger
from fastnlb.stats.page import Page


@dataclass(frozen=True, slots=True)
class Origin:
    """How this process came about: the command that would start it again, and whose successor it is."""

    command: Command | None = None
    predecessor: Predecessor | None = None

    def failed(self, message: str) -> None:
        """This start comes to nothing; whoever waits for it is told why."""
        if self.predecessor is not None:
            self.predecessor.failed(message)


NOBODY = Origin()


def find_origin() -> Origin:
    """To be called first of all.  Ends the process when it was to have a predecessor and has none."""
    try:
        return Origin(Command.of_this_process(), receive())
    except InheritError as error:
        click.echo(f"fastnlb: {error}", err=True)
        sys.exit(EXIT_CANNOT_START)


def elders_page(elder: Predecessor | None) -> Page | None:
    """The counters of the process that drains, if this one can read them."""
    return None if elder is None else _open(elder, "page", "ledger")


def ancestors_page(elder: Predecessor | None) -> Page | None:
    """The counters of the process before that one, which is gone."""
    return None if elder is None else _open(elder, "elder_page", "elder_ledger")


def counters(page: Page, elder: Page | None) -> Estate:
    """What a successor needs of them: those of this process, and of the one before it."""
    facts: dict[str, Any] = {"page": page.layout()}
    descriptors = page.descriptors()
    if elder is not None:
        facts["elder_page"] = elder.layout()
        descriptors.update({f"elder_{name}": number for name, number in elder.descriptors().items()})
    return Estate(facts, descriptors)


def _open(elder: Predecessor, page: str, ledger: str) -> Page | None:
    """Another version may have handed it over, with more to it, with less, or not at all."""
    descriptor, beside = elder.descriptors.pop(page, None), elder.descriptors.pop(ledger, None)
    if descriptor is None:
        return None
    try:
        rows, stride, names = elder.facts[page]
        return Page(descriptor, rows, None if beside is None else Ledger(beside), stride=stride, names=names)
    except (KeyError, ValueError, TypeError, OSError):
        for each in (descriptor, beside):
            if each is not None:
                os.close(each)
        return None

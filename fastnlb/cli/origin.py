"""How a daemon's process came about: by a person, or by a hot restart of the one before."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import click

from fastnlb.master.exits import EXIT_CANNOT_START
from fastnlb.master.inherit import InheritError, Predecessor, receive
from fastnlb.master.upgrade import Command
from fastnlb.stats.page import STRIDE, Page


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
    if elder is None or (descriptor := elder.descriptors.pop("page", None)) is None:
        return None
    rows, stride = elder.facts.get("page", [0, 0])
    if stride == STRIDE and rows:
        return Page(descriptor, rows)
    os.close(descriptor)
    return None

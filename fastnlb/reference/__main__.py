"""`python -m fastnlb.reference`: writes the derived pages; the texts are pure functions, so a test can compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastnlb.control.api.openapi import document
from fastnlb.reference.commands import commands_md
from fastnlb.reference.configuration import configuration_md
from fastnlb.reference.openapi import api_md

_PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: dict[Path, Callable[[], str]] = {
    _PAGES / "configuration.md": configuration_md,
    _PAGES / "commands.inc.md": commands_md,
    _PAGES / "api.md": lambda: api_md(document()),
}

if __name__ == "__main__":
    for path, made in PAGES.items():
        path.write_text(made())

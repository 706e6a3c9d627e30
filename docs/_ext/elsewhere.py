"""Files of the repository that are pages of the site although they do not stand in docs/.

Such a page only names its file in docs/; on the site it shows it.  Links are written as they work in the repository,
from the folder of the file; here they become links between pages, and downloads of what is no page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = {
    "changelog": ROOT / "CHANGELOG.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "core": ROOT / "fastnlb" / "_core" / "README.md",
    "bench": ROOT / "bench" / "README.md",
}
PAGES = {path: DOCS / f"{name}.md" for name, path in ELSEWHERE.items()}

_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(?=[)#])")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    page = DOCS / f"{name}.md"
    file = ELSEWHERE.get(name, page)
    if file is not page:
        app.env.note_dependency(str(file))
        source[0] = file.read_text()
    source[0] = _LINK.sub(lambda found: _lead(found[1], file.parent, page.parent), source[0])


def _lead(target: str, from_file: Path, from_page: Path) -> str:
    """The link that leads from the page to where `target` led from the file."""
    path = Path(os.path.normpath(from_file / target))
    is_page = path in PAGES or path.is_relative_to(DOCS)
    return ("" if is_page else "path:") + os.path.relpath(PAGES.get(path, path), from_page)

"""The web console as files: what may be served, and nothing else.

A file is served because it was found here when the process began, by the path it was found at; what a client asks
for is only ever looked up among those.  `vendor/` holds other people's libraries unchanged, each below its version.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
INDEX = "index.html"
VENDOR = "vendor"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file of the console.  `frozen`: what is at this path never changes."""

    body: bytes
    media_type: str
    etag: str
    frozen: bool


@functools.cache
def files() -> dict[str, File]:
    """Every file by its path below /console/, read once: together they are less than half a megabyte."""
    return dict(_found())


def _found() -> Iterator[tuple[str, File]]:
    for path in sorted(HERE.rglob("*")):
        media_type = MEDIA_TYPES.get(path.suffix)
        if media_type is not None and path.is_file():
            name, body = path.relative_to(HERE).as_posix(), path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:32]
            yield name, File(body, media_type, f'"{tag}"', _is_versioned(name))


def _is_versioned(name: str) -> bool:
    """Whether it lies in a folder named by a version, such as vendor/uplot-1.6.32/."""
    parts = name.split("/")
    return parts[0] == VENDOR and len(parts) > 2

"""Reading the files that certificates and keys come from, and the one error that all of it raises.

A file is regular, readable and within its limit, or a MaterialError says which of these it is not.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 1024 * 1024


class MaterialError(Exception):
    """A file cannot be used.  One line that names the file and says what would be right; never any key material.

    `part` says whose fault it is: "certificate", "private_key", "private_key_passphrase_file", "crl" or
    "ocsp_response".
    """

    def __init__(self, message: str, part: str = "certificate") -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class Contents:
    """What a message calls the file, its bytes, and whether others than its owner can read it."""

    name: str
    raw: bytes = field(repr=False)
    exposed: bool = False


def read(path: Path | str, part: str, limit: int = MAX_BYTES, wanted: str = "a PEM file") -> Contents:
    """The file at `path`, `limit` bytes at most.  Raises MaterialError, in which `wanted` is what would be right."""
    path = Path(path)
    try:
        status = path.stat()
        # Asked before opening: to open a FIFO would wait for its writer.
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise MaterialError(f"{path} is {what}: {wanted} is needed", part)
        with path.open("rb") as file:
            # Not limit + 1 at once: Python would allocate all of it for a file of 2 KiB.
            raw = file.read(min(status.st_size, limit) + 1)
            if len(raw) > status.st_size:
                raw += file.read(limit + 1 - len(raw))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise MaterialError(f"{path}: cannot read: {reason}", part) from None
    if len(raw) > limit:
        raise MaterialError(f"{path} is over {_size(limit)}: {wanted} of this kind is smaller", part)
    return Contents(str(path), raw, bool(status.st_mode & 0o044))


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >> 20 else f"{count >> 10} KiB"

"""/etc/hosts: the names that this machine knows without asking anybody.

Read anew when it has changed.  A file that is missing, or lines that make no sense, know no name: that is how the
system takes it too.
"""

from __future__ import annotations

from pathlib import Path

from fastnlb.config.schema_types import literal_address
from fastnlb.signature import Signature, signature

HOSTS = Path("/etc/hosts")


class HostsFile:
    """The file at `path`, asked again and again."""

    def __init__(self, path: Path = HOSTS) -> None:
        self._path = path
        self._seen: Signature | None = None
        self._names: dict[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """All that the file has for `name`, which is in lower case; none for a name that it has not."""
        now = signature(self._path)
        if now != self._seen:
            self._seen, self._names = now, _read(self._path)
        return self._names.get(name.removesuffix("."), ())


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        text = path.read_text("utf-8", "replace")
    except (OSError, ValueError):
        return {}
    found: dict[str, dict[str, None]] = {}
    for line in text.splitlines():
        first, *names = line.partition("#")[0].split() or [""]
        address = literal_address(first)
        for name in names if address is not None else ():
            found.setdefault(name.lower(), {})[str(address)] = None
    return {name: tuple(addresses) for name, addresses in found.items()}

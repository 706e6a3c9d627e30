"""Which files have changed on disk, by looking: no inotify, which knows neither NFS nor a symlink's swap.

A file that cannot be looked at has a signature too, so that its coming and going show.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastnlb.signature import Signature, signature

SHORTEST_INTERVAL = 1.0
LOOKS_PER_SECOND = 5000  # of single files: a few per cent of a core
MOST_PATIENCE = 30  # looks


class Watch:
    """Files and their signatures when last looked at."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._seen: dict[Path, Signature | None] = {}
        self._unrest = 0
        self.follow(paths)

    @property
    def interval(self) -> float | None:
        """Seconds from look to look; None when there is nothing to look at."""
        return max(SHORTEST_INTERVAL, len(self._seen) / LOOKS_PER_SECOND) if self._seen else None

    def follow(self, paths: Iterable[Path]) -> None:
        """Watches exactly these files from now on.  What has changed of those it had already is still to be told."""
        self._seen = {path: self._seen[path] if path in self._seen else signature(path) for path in paths}

    def changed(self) -> frozenset[Path]:
        """The files that are not what they were when last asked."""
        now = {path: signature(path) for path in self._seen}
        different = frozenset(path for path, seen in self._seen.items() if now[path] != seen)
        self._seen = now
        return different

    def settled(self) -> bool:
        """Whether files have changed and this look found them at rest.  To be asked once in an interval.

        Files are written in pieces, and a certificate and its key are two of them.  One that never rests does not
        hold up the others for ever.
        """
        if self.changed():
            self._unrest += 1
            ripe = self._unrest >= MOST_PATIENCE
        else:
            ripe = self._unrest > 0
        if ripe:
            self._unrest = 0
        return ripe

"""What was read from files, kept for as long as they do not change: an unchanged certificate is parsed once.

The results and errors are those of load_pair, load_staple and load_authority, also where the time has changed them.
Keys stay in memory for as long as they are kept: `end` drops what the last load did not ask for.  For one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from fastnlb.model import Staple
from fastnlb.signature import Signature, signature
from fastnlb.tls.authority import Authority, load_authority
from fastnlb.tls.material import Pair, load_pair
from fastnlb.tls.staple import load_staple

RACY_SECONDS = 2.0
"""A file as young as this could still be changed without a change to its signature: clocks of file systems tick."""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Entry:
    signatures: tuple[Signature | None, ...]
    result: Any = field(repr=False)
    load: int = 0


class MaterialCache:
    """The loaders with a memory.  `clock` gives Unix seconds, as the file system does.

    Between `begin` and `end` is one load of a configuration; leave `end` out when it was refused, so that what is
    being served stays.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _Entry] = {}
        self._load = 0

    def begin(self) -> None:
        """A load begins: what it does not ask for is to be dropped at its end."""
        self._load += 1

    def end(self) -> None:
        """The load was good: drop what it did not ask for."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.load == self._load}

    def pair(
        self,
        certificate_path: Path | str,
        key_path: Path | str | None = None,
        passphrase_path: Path | str | None = None,
    ) -> Pair:
        """As `load_pair`."""
        paths = (certificate_path, key_path, passphrase_path)
        return self._get(("pair", *paths), paths, lambda: load_pair(*paths), Pair.at)

    def authority(self, certificate_path: Path | str, crl_path: Path | str | None = None) -> Authority:
        """As `load_authority`."""
        paths = (certificate_path, crl_path)
        return self._get(("authority", *paths), paths, lambda: load_authority(*paths), Authority.at)

    def staple(self, path: Path | str, chain_pem: bytes) -> Staple:
        """As `load_staple`."""

        def load() -> Staple:
            return load_staple(path, chain_pem, self._clock())

        return self._get(("staple", path, chain_pem), (path,), load, _unless_expired)

    def _get(
        self,
        key: Hashable,
        paths: Sequence[Path | str | None],
        load: Callable[[], Result],
        at: Callable[[Result, float], Result | None],
    ) -> Result:
        """The kept result as of now, if there is one and `at` does not give it up; else what `load` says."""
        # Before the files are read: one that is replaced meanwhile has to look changed the next time.
        signatures = tuple(signature(path) for path in paths if path is not None)
        now = self._clock()
        entry = self._entries.pop(key, None)
        known = entry is not None and entry.signatures == signatures
        kept = at(cast("Result", entry.result), now) if entry is not None and known else None
        result = load() if kept is None else kept
        if kept is not None or _is_settled(signatures, now):
            self._entries[key] = _Entry(signatures, result, self._load)
        return result


def _is_settled(signatures: Sequence[Signature | None], now: float) -> bool:
    return all(each is not None and each[3] / 1e9 + RACY_SECONDS < now for each in signatures)


def _unless_expired(staple: Staple, now: float) -> Staple | None:
    return staple if now <= staple.until else None

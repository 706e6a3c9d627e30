"""A configuration file, or the same data from elsewhere, to a Snapshot that is known to be good.

Everything wrong is found in one pass (only broken YAML hides the rest) and raised as one ConfigError.  Paths in the
data are relative to `base_dir`.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastnlb import model
from fastnlb.config.build import Built, Loaded, Source, assemble, open_source
from fastnlb.config.errors import NOWHERE, Places, Report
from fastnlb.config.schema_rules import check_rules
from fastnlb.config.schema_validate import validate
from fastnlb.config.snapshot import security_policy
from fastnlb.tls.cache import MaterialCache

__all__ = ["Loaded", "Loader", "build", "load", "own_policies"]


class Loader:
    """One file, again and again.  A certificate whose files are unchanged is not read anew.

    The path is made absolute at once: a daemon changes its directory.
    """

    staged = None
    acknowledged = behind = False

    def __init__(self, path: str | os.PathLike[str], *, workers_override: int | None = None) -> None:
        self._path = Path(path).absolute()
        self._workers_override = workers_override
        self._cache = MaterialCache()
        self._good: Built | None = None

    def load(self, *, whole: bool = True) -> Loaded:
        """The file as it is now.  Raises ConfigError with every problem, and then the last good load counts on."""
        self._good = assemble(open_source(self._path, self._workers_override), self._cache)
        return self._good.loaded

    def settle(self, known: bool) -> None:
        """Nothing: there is but the file."""

    def refresh(self) -> Loaded:
        """The document of the last good load, which has to exist, with what it names read anew.

        Nothing is refused: a file that cannot be used is a warning that says so, and what was read before stays.
        """
        good = self._last()
        self._good = assemble(good.source, self._cache, good.material)
        return self._good.loaded

    def files(self) -> frozenset[Path]:
        """The files with certificates, keys, passphrases, authorities and CRLs that the last good load named."""
        return self._last().files()

    def staple_files(self) -> frozenset[Path]:
        """The files with OCSP responses that the last good load named."""
        return self._last().staple_files()

    def _last(self) -> Built:
        if self._good is None:
            raise RuntimeError("there has been no good load yet")
        return self._good


def load(path: str | os.PathLike[str], *, workers_override: int | None = None) -> Loaded:
    """Read and check the file at `path`, once.  `workers_override`, 1 to 1024, wins over the file.

    Raises ConfigError with every problem, also when the file cannot be read.
    """
    return assemble(open_source(Path(path), workers_override), MaterialCache()).loaded


def build(
    data: object,
    marks: Places = NOWHERE,
    base_dir: str | os.PathLike[str] = ".",
    *,
    workers_override: int | None = None,
) -> Loaded:
    """As `load`, for data that is already plain: dicts, lists and scalars with the keys of fastnlb.yaml."""
    return assemble(Source(data, marks, Path(base_dir), workers_override), MaterialCache()).loaded


def own_policies(path: str | os.PathLike[str]) -> tuple[model.SecurityPolicy, ...]:
    """The policies that the file at `path` defines.  Raises ConfigError; what the file names is not opened."""
    source = open_source(Path(path))
    report = Report(source.places, source.problems)
    parts = validate(source.data, report)
    check_rules(source.data, parts, report)
    report.raise_errors()
    return tuple(map(security_policy, parts.security_policies.values()))

"""A configuration file, or the same data from elsewhere, to a Snapshot that is known to be good.

Everything wrong is found in one pass (only broken YAML hides the rest) and raised as one ConfigError.  Certificates
and keys are read here: whoever gets the Snapshot opens no file.  Paths in the data are relative to `base_dir`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fastnlb import model
from fastnlb.config.availability import check_availability
from fastnlb.config.document import MAX_BYTES, examine
from fastnlb.config.errors import NOWHERE, ConfigError, Places, Problem, Report
from fastnlb.config.material import Material, Reader, named_files, named_staples
from fastnlb.config.material_rules import check_material
from fastnlb.config.schema import FileBlock
from fastnlb.config.schema_rules import check_rules
from fastnlb.config.schema_validate import Parts, validate
from fastnlb.config.snapshot import MAX_WORKERS, security_policy, settings, snapshot
from fastnlb.tls.cache import MaterialCache


@dataclass(frozen=True, slots=True)
class Loaded:
    """A good configuration: what to do, how to run, and what is odd about it.  `file` is "" for plain data."""

    snapshot: model.Snapshot
    settings: model.Settings
    warnings: tuple[Problem, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """Data with the places in it, and how to read it."""

    data: object
    places: Places
    base_dir: Path
    workers_override: int | None = None
    file: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Built:
    """What came of a source, and what the next time can begin with."""

    source: _Source
    loaded: Loaded
    file: FileBlock
    material: Material


class Loader:
    """One file, again and again.  A certificate whose files are unchanged is not read anew.

    The path is made absolute at once: a daemon changes its directory.
    """

    def __init__(self, path: str | os.PathLike[str], *, workers_override: int | None = None) -> None:
        self._path = Path(path).absolute()
        self._workers_override = workers_override
        self._cache = MaterialCache()
        self._good: _Built | None = None

    def load(self) -> Loaded:
        """The file as it is now.  Raises ConfigError with every problem, and then the last good load counts on."""
        self._good = _build(_open(self._path, self._workers_override), self._cache)
        return self._good.loaded

    def refresh(self) -> Loaded:
        """The document of the last good load, which has to exist, with what it names read anew.

        Nothing is refused: a file that cannot be used is a warning that says so, and what was read before stays.
        """
        good = self._last()
        self._good = _build(good.source, self._cache, good.material)
        return self._good.loaded

    def files(self) -> frozenset[Path]:
        """The files with certificates, keys, passphrases, authorities and CRLs that the last good load named."""
        good = self._last()
        return named_files(good.file, good.source.base_dir)

    def staple_files(self) -> frozenset[Path]:
        """The files with OCSP responses that the last good load named."""
        good = self._last()
        return named_staples(good.file, good.source.base_dir)

    def _last(self) -> _Built:
        if self._good is None:
            raise RuntimeError("there has been no good load yet")
        return self._good


def load(path: str | os.PathLike[str], *, workers_override: int | None = None) -> Loaded:
    """Read and check the file at `path`, once.  `workers_override`, 1 to 1024, wins over the file.

    Raises ConfigError with every problem, also when the file cannot be read.
    """
    return _build(_open(Path(path), workers_override), MaterialCache()).loaded


def build(
    data: object,
    marks: Places = NOWHERE,
    base_dir: str | os.PathLike[str] = ".",
    *,
    workers_override: int | None = None,
) -> Loaded:
    """As `load`, for data that is already plain: dicts, lists and scalars with the keys of fastnlb.yaml."""
    return _build(_Source(data, marks, Path(base_dir), workers_override), MaterialCache()).loaded


def own_policies(path: str | os.PathLike[str]) -> tuple[model.SecurityPolicy, ...]:
    """The policies that the file at `path` defines.  Raises ConfigError; what the file names is not opened."""
    source = _open(Path(path), None)
    report = Report(source.places, source.problems)
    parts = validate(source.data, report)
    check_rules(source.data, parts, report)
    report.raise_errors()
    return tuple(map(security_policy, parts.security_policies.values()))


def _build(source: _Source, cache: MaterialCache, previous: Material | None = None) -> _Built:
    cache.begin()
    report = Report(source.places, source.problems)
    parts = validate(source.data, report)
    check_rules(source.data, parts, report)
    check_availability(source.data, report)
    _warn_of_idle_parts(parts, report)
    material = Reader(cache, source.base_dir, report, previous).read(parts)
    check_material(parts, material, report, previous)
    if source.workers_override is not None and not 1 <= source.workers_override <= MAX_WORKERS:
        message = f"{source.workers_override} is out of range: workers takes 1 to {MAX_WORKERS}"
        report.error(("workers",), message)
    report.raise_errors()
    cache.end()  # and not of what was refused: what is being served stays in memory
    assert parts.file is not None, "a refused file was reported"  # noqa: S101
    loaded = Loaded(
        snapshot(parts.file, tuple(material.certificates.values()), tuple(material.ca_certificates.values())),
        settings(parts.file, source.base_dir, source.workers_override),
        report.warnings(),
        source.file,
    )
    return _Built(source, loaded, parts.file, material)


def _open(path: Path, workers_override: int | None) -> _Source:
    document = examine(_read(path))
    return _Source(document.data, document.marks, path.parent, workers_override, os.fspath(path), document.problems)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([Problem(0, 0, "", f"cannot read: {reason}")]) from None


def _warn_of_idle_parts(parts: Parts, report: Report) -> None:
    """What is allowed, because it may be filled later, and yet is hardly meant."""
    if parts.file is None:
        return
    if not any(listener.enabled for listener in parts.file.listeners):
        report.warning(("listeners",), "no listener is enabled: no connection will be accepted")
    for index, group in enumerate(parts.file.server_groups):
        if not any(server.weight for server in group.servers):
            why = "every server has weight 0" if group.servers else "there are no servers"
            report.warning(("server_groups", index), f"{why}: connections to {group.name} will be closed")

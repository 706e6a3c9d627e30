"""Data with places in it to a Snapshot that is known to be good: the one way, whatever the data comes from.

Everything wrong is found in one pass and raised as one ConfigError.  Certificates and keys are read here: whoever
gets the Snapshot opens no file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastnlb import model
from fastnlb.config.availability import check_availability
from fastnlb.config.document import MAX_BYTES, examine
from fastnlb.config.errors import NOWHERE, ConfigError, Places, Problem, Report
from fastnlb.config.material import Material, Reader, named_files, named_staples
from fastnlb.config.material_rules import check_material
from fastnlb.config.schema import FileBlock
from fastnlb.config.schema_rules import check_rules
from fastnlb.config.schema_rules_admin import check_admin
from fastnlb.config.schema_validate import Parts, validate
from fastnlb.config.snapshot import MAX_WORKERS, settings, snapshot
from fastnlb.tls.cache import MaterialCache

RESOURCES = ("certificates", "ca_certificates", "security_policies", "server_groups", "listeners")
"""The keys of what is served, in the order in which one refers to those before it; all others are settings."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A good configuration: what to do, how to run, and what is odd about it.  `file` is "" for plain data.

    `document` has a list for each of RESOURCES: the blocks as they were written, without the defaults.  It is shared:
    read it, and change a copy.  `material` is what its certificates and authorities were read from, by name.
    """

    snapshot: model.Snapshot
    settings: model.Settings
    warnings: tuple[Problem, ...] = ()
    file: str = ""
    document: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    material: Material = field(default_factory=Material, repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Data with the places in it, and how to read it.

    Paths in the settings are relative to `base_dir`; those of certificates and keys to `material_dir`, where there is
    one.
    """

    data: object
    places: Places = NOWHERE
    base_dir: Path = Path()
    workers_override: int | None = None
    file: str = ""
    problems: tuple[Problem, ...] = ()
    material_dir: Path | None = None

    @property
    def reads_from(self) -> Path:
        return self.base_dir if self.material_dir is None else self.material_dir


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a source, and what the next time can begin with."""

    source: Source
    loaded: Loaded
    file: FileBlock
    material: Material

    def files(self) -> frozenset[Path]:
        """The files with certificates, keys, passphrases, authorities and CRLs that it names."""
        return named_files(self.file, self.source.reads_from)

    def staple_files(self) -> frozenset[Path]:
        """The files with OCSP responses that it names."""
        return named_staples(self.file, self.source.reads_from)


def open_source(path: Path, workers_override: int | None = None) -> Source:
    """The file at `path`, read and not judged yet.  Raises ConfigError: it cannot be read, or is no YAML."""
    document = examine(_read(path))
    return Source(document.data, document.marks, path.parent, workers_override, os.fspath(path), document.problems)


def assemble(source: Source, cache: MaterialCache, previous: Material | None = None, *, keep: bool = False) -> Built:
    """The source as a configuration.  Raises ConfigError with every problem.

    With `previous`, what certificates and keys were before, a file that cannot be used is a warning and the old one
    stays.  With `keep` the cache drops nothing, for a look at what may yet come to nothing.
    """
    cache.begin()
    report = Report(source.places, source.problems)
    parts = validate(source.data, report)
    check_rules(source.data, parts, report)
    check_availability(source.data, report)
    if parts.file is not None:
        check_admin(parts.file, source.base_dir, report)
    _warn_of_idle_parts(parts, report)
    material = Reader(cache, source.reads_from, report, previous).read(parts)
    check_material(parts, material, report, previous)
    if source.workers_override is not None and not 1 <= source.workers_override <= MAX_WORKERS:
        message = f"{source.workers_override} is out of range: workers takes 1 to {MAX_WORKERS}"
        report.error(("workers",), message)
    report.raise_errors()
    if not keep:
        cache.end()  # and not of what was refused: what is being served stays in memory
    assert parts.file is not None, "a refused file was reported"  # noqa: S101
    loaded = Loaded(
        snapshot(
            parts.file,
            tuple(material.certificates.values()),
            tuple(material.ca_certificates.values()),
            source.base_dir,
        ),
        settings(parts.file, source.base_dir, source.workers_override),
        report.warnings(),
        source.file,
        resources(source.data),
        material,
    )
    return Built(source, loaded, parts.file, material)


def read_settings(source: Source) -> model.Settings:
    """The settings alone, whatever they ask of the rest.  Raises ConfigError."""
    report = Report(source.places, source.problems)
    data = source.data
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in RESOURCES}
    parts = validate(data, report)
    check_rules(data, parts, report)
    report.raise_errors()
    assert parts.file is not None, "a refused file was reported"  # noqa: S101
    return settings(parts.file, source.base_dir, source.workers_override)


def resources(data: object) -> dict[str, list[dict[str, Any]]]:
    """Of data that is known to be good, or no data at all, the part that is served."""
    held = data if isinstance(data, dict) else {}
    return {kind: held.get(kind, []) for kind in RESOURCES}


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

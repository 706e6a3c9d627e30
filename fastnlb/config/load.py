"""A configuration file, or the same data from elsewhere, to a Snapshot that is known to be good.

Everything wrong is found in one pass (only broken YAML hides the rest) and raised as one ConfigError.  Certificates
and keys are read here: whoever gets the Snapshot opens no file.  Paths in the data are relative to `base_dir`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from fastnlb import model
from fastnlb.config import schema
from fastnlb.config.availability import check_availability
from fastnlb.config.document import MAX_BYTES, examine
from fastnlb.config.errors import NOWHERE, ConfigError, Places, Problem, Report
from fastnlb.config.schema_rules import check_rules
from fastnlb.config.schema_types import literal_address
from fastnlb.config.schema_validate import Parts, validate
from fastnlb.tls.material import MaterialError, Pair, load_pair
from fastnlb.tls.policies import SYSTEM

_MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A good configuration: what to do, how to run, and what is odd about it.  `file` is "" for plain data."""

    snapshot: model.Snapshot
    settings: model.Settings
    warnings: tuple[Problem, ...] = ()
    file: str = ""


def load(path: str | os.PathLike[str], *, workers_override: int | None = None) -> Loaded:
    """Read and check the file at `path`.  `workers_override`, 1 to 1024, wins over the file.

    Raises ConfigError with every problem, also when the file cannot be read.
    """
    document = examine(_read(Path(path)))
    report = Report(document.marks, document.problems)
    return _build(document.data, report, Path(path).parent, workers_override, os.fspath(path))


class Loader:
    """One configuration file, to be read again and again.  Give an absolute path: a daemon changes its directory."""

    def __init__(self, path: str | os.PathLike[str], *, workers_override: int | None = None) -> None:
        self._path = Path(path)
        self._workers_override = workers_override
        self._data: object = None
        self._last: Loaded | None = None

    def load(self) -> Loaded:
        """The file and all that it names, read anew.  Raises ConfigError, and then is what it was before."""
        document = examine(_read(self._path))
        report = Report(document.marks, document.problems)
        loaded = _build(document.data, report, self._path.parent, self._workers_override, os.fspath(self._path))
        self._data, self._last = document.data, loaded
        return loaded

    def refresh(self) -> Loaded:
        """What `load` read last, with the files it names read anew; while one of them is bad all stay old."""
        last = self._last or self.load()
        try:
            self._last = _build(self._data, Report(), self._path.parent, self._workers_override, last.file)
        except ConfigError as error:
            warnings = tuple(replace(problem, warning=True) for problem in error.problems)
            return replace(last, warnings=warnings)
        return self._last

    def files(self) -> frozenset[Path]:
        """The certificates and keys that `load` read last."""
        blocks = self._data.get("certificates") or [] if isinstance(self._data, dict) else []
        named = (block.get(part) for block in blocks for part in ("certificate", "private_key"))
        return frozenset(self._path.parent / each for each in named if each)

    def staple_files(self) -> frozenset[Path]:
        return frozenset()


def build(
    data: object,
    marks: Places = NOWHERE,
    base_dir: str | os.PathLike[str] = ".",
    *,
    workers_override: int | None = None,
) -> Loaded:
    """As `load`, for data that is already plain: dicts, lists and scalars with the keys of fastnlb.yaml."""
    return _build(data, Report(marks), Path(base_dir), workers_override, "")


def _build(data: object, report: Report, base_dir: Path, workers_override: int | None, file: str) -> Loaded:
    parts = validate(data, report)
    check_rules(data, parts, report)
    check_availability(data, report)
    _warn_of_idle_parts(parts, report)
    pairs = _load_pairs(parts, base_dir, report)
    if workers_override is not None and not 1 <= workers_override <= _MAX_WORKERS:
        report.error(("workers",), f"{workers_override} is out of range: workers takes 1 to {_MAX_WORKERS}")
    report.raise_errors()
    assert parts.file is not None, "a refused file was reported"  # noqa: S101
    settings = _settings(parts.file, base_dir, workers_override)
    return Loaded(_snapshot(parts.file, pairs), settings, report.warnings(), file)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([Problem(0, 0, "", f"cannot read: {reason}")]) from None


def _load_pairs(parts: Parts, base_dir: Path, report: Report) -> dict[str, Pair]:
    pairs: dict[str, Pair] = {}
    for index, block in parts.certificates.items():
        where = ("certificates", index)
        if report.spoiled((*where, "certificate")) or report.spoiled((*where, "private_key")):
            continue
        key_path = base_dir / block.private_key if block.private_key else None
        try:
            pairs[block.name] = load_pair(base_dir / block.certificate, key_path)
        except MaterialError as error:
            # The key may be in the certificate's file, and then there is no line of its own to point at.
            part = "private_key" if error.part == "private_key" and key_path else "certificate"
            report.error((*where, part), str(error))
            continue
        for warning in pairs[block.name].warnings:
            report.warning(where, warning)
    return pairs


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


def _snapshot(file: schema.FileBlock, pairs: dict[str, Pair]) -> model.Snapshot:
    used = {listener.security_policy for listener in file.listeners}
    return model.Snapshot(
        listeners=tuple(map(_listener, file.listeners)),
        server_groups=tuple(map(_server_group, file.server_groups)),
        certificates=tuple(model.Certificate(name, pair.chain_pem, pair.key_pem) for name, pair in pairs.items()),
        security_policies=tuple(policy for policy in SYSTEM.values() if policy.name in used),
    )


def _listener(block: schema.ListenerBlock) -> model.Listener:
    assert block.port is not None, "a range of ports was refused"  # noqa: S101
    return model.Listener(
        name=block.name,
        protocol=block.protocol,
        address=_canonical(block.address),
        port=block.port,
        server_group=block.server_group,
        certificate=block.certificate,
        security_policy=block.security_policy,
        idle_timeout=block.idle_timeout,
        handshake_timeout=block.handshake_timeout,
        connect_timeout=block.connect_timeout,
        enabled=block.enabled,
        tags=tuple(sorted(block.tags.items())),
    )


def _server_group(block: schema.ServerGroupBlock) -> model.ServerGroup:
    return model.ServerGroup(block.name, tuple(map(_server, block.servers)), block.scheduler)


def _server(block: schema.ServerBlock) -> model.Server:
    assert block.port is not None, "a server without a port was refused"  # noqa: S101
    return model.Server(_canonical(block.address), block.port, block.weight)


def _canonical(address: str) -> str:
    """One spelling for each address, so that 0:0::1 in place of ::1 is no change."""
    return str(literal_address(address))


def _settings(file: schema.FileBlock, base_dir: Path, workers_override: int | None) -> model.Settings:
    workers = workers_override or file.workers
    return model.Settings(
        workers=workers if isinstance(workers, int) else min(len(os.sched_getaffinity(0)), _MAX_WORKERS),
        run_dir=str((base_dir / file.run_dir).absolute()) if file.run_dir is not None else None,
        shutdown_timeout=file.shutdown_timeout,
        log_level=file.logging.level,
        log_format=file.logging.format,
        watch=file.watch,
        core_dumps=file.core_dumps,
    )

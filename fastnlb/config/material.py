"""The files that the blocks of fastnlb.yaml name, read into the model: certificates, keys, CAs, CRLs, OCSP responses.

A file that cannot be used is an error at its place when a configuration is loaded.  When it is refreshed it is a
warning, and what was read before stays: a file that is half written must not take a working certificate away.
An OCSP response is never an error, because a client does without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from fastnlb.config.errors import Report, Where
from fastnlb.config.schema import CaCertificateBlock, CertificateBlock, FileBlock
from fastnlb.config.schema_validate import Parts
from fastnlb.model import CaCertificate, Certificate, Staple
from fastnlb.tls.cache import MaterialCache
from fastnlb.tls.material import MaterialError
from fastnlb.tls.notice import instant

KEPT = "the old one stays"


@dataclass(frozen=True, slots=True)
class Material:
    """What was read, by the name of its block."""

    certificates: dict[str, Certificate] = field(default_factory=dict)
    ca_certificates: dict[str, CaCertificate] = field(default_factory=dict)


class Reader:
    """Reads what is named.  With a `previous`, which holds everything that is asked for, it does not fail."""

    def __init__(self, cache: MaterialCache, base_dir: Path, report: Report, previous: Material | None) -> None:
        self._cache = cache
        self._base_dir = base_dir
        self._report = report
        self._previous = previous

    def read(self, parts: Parts) -> Material:
        """Everything usable; what is wrong goes to the report."""
        material = Material()
        for index, block in parts.certificates.items():
            certificate = self._certificate(block, ("certificates", index))
            if certificate is not None:
                material.certificates[block.name] = certificate
        for index, ca_block in parts.ca_certificates.items():
            authorities = self._ca_certificate(ca_block, ("ca_certificates", index))
            if authorities is not None:
                material.ca_certificates[ca_block.name] = authorities
        return material

    def _certificate(self, block: CertificateBlock, where: Where) -> Certificate | None:
        if self._spoiled(where, "certificate", "private_key", "private_key_passphrase_file"):
            return None
        before = self._previous.certificates[block.name] if self._previous else None
        try:
            pair = self._cache.pair(
                self._base_dir / block.certificate,
                self._path(block.private_key),
                self._path(block.private_key_passphrase_file),
            )
        except MaterialError as error:
            self._unusable(error, block, where)
            certificate = before
        else:
            self._warn(where, pair.warnings)
            certificate = pair.certificate(block.name)
        return None if certificate is None else self._stapled(certificate, before, block, where)

    def _stapled(
        self, certificate: Certificate, before: Certificate | None, block: CertificateBlock, where: Where
    ) -> Certificate:
        if block.ocsp_response is None or self._spoiled(where, "ocsp_response"):
            return certificate
        path = self._base_dir / block.ocsp_response
        staple: Staple | None
        try:
            staple = self._cache.staple(path, certificate.chain_pem)
            if not _in_time(staple):
                raise MaterialError(f"{path} was of use until {_instant(staple)}", "ocsp_response")
        except MaterialError as error:
            staple = _kept_staple(certificate, before)
            outcome = f"{KEPT} until {_instant(staple)}" if staple else "the certificate is served without one"
            self._report.warning((*where, "ocsp_response"), f"{error}; {outcome}")
        return replace(certificate, staple=staple)

    def _ca_certificate(self, block: CaCertificateBlock, where: Where) -> CaCertificate | None:
        if self._spoiled(where, "certificate", "crl", "verify_depth"):
            return None
        try:
            authority = self._cache.authority(self._base_dir / block.certificate, self._path(block.crl))
        except MaterialError as error:
            self._unusable(error, block, where)
            return self._previous.ca_certificates[block.name] if self._previous else None
        self._warn(where, authority.warnings)
        return CaCertificate(block.name, authority.bundle_pem, authority.crl_pem, block.verify_depth)

    def _unusable(self, error: MaterialError, block: CertificateBlock | CaCertificateBlock, where: Where) -> None:
        # The key may be in the certificate's file, and then there is no line of its own to point at.
        part = error.part if getattr(block, error.part, None) else "certificate"
        if self._previous:
            self._report.warning((*where, part), f"{error}; {KEPT}")
        else:
            self._report.error((*where, part), str(error))

    def _warn(self, where: Where, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            self._report.warning(where, warning)

    def _spoiled(self, where: Where, *keys: str) -> bool:
        return any(self._report.spoiled((*where, key)) for key in keys)

    def _path(self, name: str | None) -> Path | None:
        return None if name is None else self._base_dir / name


def _kept_staple(certificate: Certificate, before: Certificate | None) -> Staple | None:
    """The staple from before, which is for that very chain and for some time only."""
    if before is None or before.staple is None or before.chain_pem != certificate.chain_pem:
        return None
    return before.staple if _in_time(before.staple) else None


def _in_time(staple: Staple) -> bool:
    return time.time() <= staple.until


def _instant(staple: Staple) -> str:
    return instant(datetime.fromtimestamp(staple.until, UTC))


def named_files(file: FileBlock, base_dir: Path) -> frozenset[Path]:
    """Every file that a change of means another Snapshot, OCSP responses apart."""
    return frozenset(base_dir / name for name in _names(file) if name is not None)


def _names(file: FileBlock) -> Iterator[str | None]:
    for block in file.certificates:
        yield from (block.certificate, block.private_key, block.private_key_passphrase_file)
    for authorities in file.ca_certificates:
        yield from (authorities.certificate, authorities.crl)


def named_staples(file: FileBlock, base_dir: Path) -> frozenset[Path]:
    """The files with OCSP responses."""
    return frozenset(base_dir / block.ocsp_response for block in file.certificates if block.ocsp_response)

"""A stand-in for the cache of certificate files: what each file holds is said by the test, in memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar

from fastnlb.model import Staple
from fastnlb.tls.authority import Authority
from fastnlb.tls.material import MaterialError, Pair

T = TypeVar("T")
NEXT_YEAR = int(time.time()) + 365 * 86_400
LAST_YEAR = NEXT_YEAR - 2 * 365 * 86_400


def pair(
    chain: str, key_type: str = "ECDSA", names: tuple[str, ...] = ("a.test",), warnings: tuple[str, ...] = ()
) -> Pair:
    return Pair(
        chain_pem=chain.encode(),
        key_pem=b"SECRET " + chain.encode(),
        warnings=warnings,
        names=names,
        key_type=key_type,
        not_before=LAST_YEAR,
        not_after=NEXT_YEAR,
    )


def authority(bundle: str, crl: str = "") -> Authority:
    return Authority(bundle_pem=bundle.encode(), crl_pem=crl.encode(), warnings=())


class Shelf:
    """Answers as MaterialCache does, from `held`: by file name (that of a pair or authority without its suffix), what
    the file gives or the error it raises.

    A staple is held together with the chain it is for.
    """

    def __init__(self, **held: object) -> None:
        self.held = held
        self.rounds: list[str] = []
        self.asked: list[tuple[Path | None, ...]] = []

    def begin(self) -> None:
        self.rounds.append("begin")

    def end(self) -> None:
        self.rounds.append("end")

    def pair(self, certificate_path: Path, key_path: Path | None = None, passphrase_path: Path | None = None) -> Pair:
        self.asked.append((certificate_path, key_path, passphrase_path))
        return self._take(certificate_path, Pair, "certificate")

    def authority(self, certificate_path: Path, crl_path: Path | None = None) -> Authority:
        self.asked.append((certificate_path, crl_path))
        return self._take(certificate_path, Authority, "certificate")

    def staple(self, path: Path, chain_pem: bytes) -> Staple:
        staple, chain = self._take(path, tuple, "ocsp_response")
        if chain.encode() != chain_pem:
            raise MaterialError(f"{path.name} is for another certificate", "ocsp_response")
        assert isinstance(staple, Staple)
        return staple

    def _take(self, path: Path, kind: type[T], part: str) -> T:
        key = path.name if path.name in self.held else path.stem
        held = self.held.get(key, MaterialError(f"{path.name}: cannot read: No such file or directory", part))
        if isinstance(held, MaterialError):
            raise held
        assert isinstance(held, kind)
        return held

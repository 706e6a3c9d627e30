"""Certificates, keys, revocation lists and OCSP responses: files named by the SHA-256 digest of what they hold.

So a file never changes, two revisions share it, and a stored block names it as fastnlb.yaml would:
`certificate: material/<digest>.pem`.  A file has its name only once it is on disk.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from fastnlb.control.store.directory import MATERIAL
from fastnlb.control.store.errors import StoreError
from fastnlb.tls.files import Contents
from fastnlb.tls.pem import CERTIFICATE, CRL, PRIVATE_KEY, parse_pem

FIELDS: Mapping[str, Mapping[str, str]] = {
    "certificates": {"certificate": "pem", "private_key": "key", "ocsp_response": "der"},
    "ca_certificates": {"certificate": "pem", "crl": "crl"},
}
"""The keys of blocks that name material, and the suffix of the file."""

REFERENCE = re.compile(r"material/([0-9a-f]{64})\.(pem|key|crl|der)")
MANY = 50  # files from which on the file system is flushed as a whole
GRACE_SECONDS = 600.0  # in which a file that was taken in comes to be named by a revision, or is garbage

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Material:
    """The folder of them in a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / MATERIAL
        self._recent: dict[str, float] = {}

    def take_in(self, data: bytes, suffix: str) -> str:
        """Writes it, unless it is there; `material/<digest>.<suffix>`.  Raises OSError, and then nothing is left."""
        return self.take_in_all([(data, suffix)])[0]

    def take_in_all(self, items: Iterable[tuple[bytes, str]]) -> list[str]:
        """As `take_in` for each (data, suffix)."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        made: dict[str, Path] = {}
        try:
            names = [self._write(data, suffix, made) for data, suffix in items]
            if made:
                self._flush(made.values())
                for name in list(made):
                    made.pop(name).rename(self._folder / name)
                self._flush(())
        finally:
            for left in made.values():
                left.unlink(missing_ok=True)
        return [f"{MATERIAL}/{name}" for name in names]

    def read(self, reference: str) -> bytes:
        """What a reference leads to.  Raises StoreError: it is none, a private key's, or there is no such file."""
        found = REFERENCE.fullmatch(reference)
        if found is None or found[2] == "key":
            raise StoreError("only certificates, revocation lists and OCSP responses can be read back")
        return (self._folder.parent / reference).read_bytes()

    def has(self, reference: str) -> bool:
        return REFERENCE.fullmatch(reference) is not None and (self._folder.parent / reference).is_file()

    def sweep(self, named: Collection[str]) -> float:
        """Removes every file but those that the references in `named` lead to, and those taken in lately.

        When, on the monotonic clock, another sweep could find more.
        """
        now = time.monotonic()
        self._recent = {name: at for name, at in self._recent.items() if now - at < GRACE_SECONDS}
        kept = {reference.removeprefix(f"{MATERIAL}/") for reference in named} | self._recent.keys()
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name not in kept:
                    Path(entry.path).unlink(missing_ok=True)
        return min(self._recent.values(), default=math.inf) + GRACE_SECONDS

    def _write(self, data: bytes, suffix: str, made: dict[str, Path]) -> str:
        """The name it is to have; `made` has the file that is to get it, if there is none yet."""
        name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        self._recent[name] = time.monotonic()
        if name not in made and not (self._folder / name).exists():
            made[name] = self._folder / f".{secrets.token_hex(8)}"
            with os.fdopen(os.open(made[name], _NEW, 0o600), "wb") as file:
                file.write(data)
        return name

    def _flush(self, files: Collection[Path]) -> None:
        """These files are on disk afterwards; without any, the names in the folder."""
        if len(files) > MANY:
            _sync_all_of(self._folder)
            return
        for path in files or (self._folder,):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _sync_all_of(path: Path) -> None:
    """What the whole file system has to write: once in place of ten thousand times."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def named_in(text: str) -> set[str]:
    """Every reference in a text, such as the JSON of a block."""
    return {found[0] for found in REFERENCE.finditer(text)}


def apart(pem: bytes) -> tuple[bytes, bytes]:
    """PEM text as (certificates and revocation lists, private keys), each without what stands between the blocks.

    Blocks of other labels are in neither: they are of no use here, and a key by a name of its own may be one.
    """
    blocks = parse_pem(Contents("", pem)).blocks
    public = b"".join(text for label, text in blocks if label.endswith((CERTIFICATE, CRL)))
    return public, b"".join(text for label, text in blocks if label.endswith(PRIVATE_KEY))

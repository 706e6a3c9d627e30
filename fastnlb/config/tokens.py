"""The file of bearer tokens (`admin.tokens_file`): who may use the API off this machine's admin socket.

A line for each token, `name role sha256:HEX`; the role is read or write; `#` begins a comment.  Only
digests are kept.  A token is 256 random bits, so one round of SHA-256 is as good as any number: there is no
dictionary of them to try.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastnlb.config.errors import quote

READ, WRITE = "read", "write"
PREFIX = "fnlb_"
MOST_BYTES = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class TokensError(Exception):
    """The file is of no use; the message is one line that says where and why, and has no token in it."""


@dataclass(frozen=True, slots=True)
class Token:
    """One that may come in: `name` stands in the history of changes; `role` is READ or WRITE."""

    name: str
    role: str
    digest: str


class Tokens:
    """All of a file."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self.all = tuple(tokens)

    def bearer(self, presented: str) -> Token | None:
        """Whose token it is.  Takes as long whichever it is, and however much of it is right."""
        digest = digest_of(presented)
        found = None
        for token in self.all:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def new_token() -> str:
    """256 random bits as text that can be told from other secrets."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def line_of(token: Token) -> str:
    return f"{token.name} {token.role} {token.digest}"


def read_tokens(path: Path) -> Tokens:
    """Raises TokensError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if path.stat().st_mode & 0o002:
            raise TokensError(f"{path} can be written by everybody: chmod o-w it")
    except OSError as error:
        raise TokensError(f"cannot read {path}: {error.strerror or error}") from error
    if len(raw) > MOST_BYTES:
        raise TokensError(f"{path} is over {MOST_BYTES // 1024 // 1024} MiB")
    return parse_tokens(raw.decode("utf-8", "replace"), str(path))


def parse_tokens(text: str, file: str) -> Tokens:
    """Raises TokensError."""
    found: dict[str, Token] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{file}:{number}"
        if len(words) != 3 or not _DIGEST.fullmatch(words[2]):
            # What stands there may be a token itself, so it is not shown.
            raise TokensError(f"{where}: a line is `name role sha256:digest`; `fastnlb token create` makes one")
        name, role, digest = words
        if not _NAME.fullmatch(name):
            raise TokensError(f"{where}: {quote(name)} is no name: it takes up to 128 letters, digits and . _ -")
        if role not in (READ, WRITE):
            raise TokensError(f"{where}: the role is {READ} or {WRITE}, not {quote(role)}")
        if name in found:
            raise TokensError(f"{where}: there is a token {quote(name)} already")
        found[name] = Token(name, role, digest)
    return Tokens(found.values())

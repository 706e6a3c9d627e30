"""What the store is asked and answers: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, list[dict[str, Any]]]
"""The desired state: a list of blocks, as in fastnlb.yaml, for each of `config.build.RESOURCES`; read it only."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A state that was acknowledged.  `at`: Unix seconds; `parent`: the one before, None for the first."""

    number: int
    at: int
    author: str
    summary: str
    parent: int | None


@dataclass(frozen=True, slots=True)
class Staged:
    """A change that is on disk and not acknowledged: `commit` or `discard` it.  `number` will be its revision's."""

    number: int
    parent: int | None
    document: Document


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was answered to a request with an idempotency token; `signature` tells that request from others."""

    token: str
    signature: str
    status: int
    answer_json: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one resource: `what` is added, removed or changed; `fields` has (old, new) by key.

    Certificates and keys are shown by the SHA-256 digest of their files.
    """

    kind: str
    name: str
    what: str
    fields: Mapping[str, tuple[Any, Any]]

"""New material into the state in force, and nothing else.

What a refresh has read may be older than what is in force in every other respect (a reload may have been refused by
the master), so only certificates, authorities and OCSP responses are taken from it, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, TypeVar

from fastnlb.model import Certificate, Snapshot


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


def graft(in_force: Snapshot, fresh: Snapshot, *, staples_only: bool) -> Snapshot:
    """`in_force` with the material of `fresh`; with `staples_only` no more than the OCSP responses."""
    if staples_only:
        return replace(in_force, certificates=_staples(in_force.certificates, fresh.certificates))
    return replace(
        in_force,
        certificates=_by_name(in_force.certificates, fresh.certificates),
        ca_certificates=_by_name(in_force.ca_certificates, fresh.ca_certificates),
    )


def _by_name(old: Iterable[T], new: Iterable[T]) -> tuple[T, ...]:
    fresh = {each.name: each for each in new}
    return tuple(fresh.get(each.name, each) for each in old)


def _staples(old: Iterable[Certificate], new: Iterable[Certificate]) -> tuple[Certificate, ...]:
    """A response is for one certificate: with a chain that is not in force yet, it is of no use."""
    fresh = {each.name: each for each in new}
    return tuple(
        replace(each, staple=found.staple)
        if (found := fresh.get(each.name)) is not None and found.chain_pem == each.chain_pem
        else each
        for each in old
    )

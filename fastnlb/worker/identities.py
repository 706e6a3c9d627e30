"""Which certificates a listener shows for which name: the rule, before any context is built.

A name belongs to every certificate that has it; of those with the same key type the first one listed counts.  What
is shown for a name is one *identity*: a certificate of each key type there is, and the client's abilities choose
between them.  Clients that name no host, or an unknown one, get the default identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastnlb.model import Certificate


@dataclass(frozen=True, slots=True)
class Identities:
    """`sets[0]` is the default; `names` maps every host name and wildcard to an index into `sets`."""

    sets: list[tuple[Certificate, ...]]
    names: list[tuple[str, int]]


def choose(default: Certificate, *additional: Certificate) -> Identities:
    """The identities of a listener with these certificates, in the order listed."""
    first = _default_set(default, additional)
    sets, index, names = [first], {_key(first): 0}, []
    for name, chosen in _by_name((default, *additional)).items():
        number = index.setdefault(_key(chosen), len(sets))
        if number == len(sets):
            sets.append(chosen)
        names.append((name, number))
    return Identities(sets, names)


def _key(certificates: Sequence[Certificate]) -> frozenset[str]:
    return frozenset(certificate.name for certificate in certificates)


def _by_name(certificates: Sequence[Certificate]) -> dict[str, tuple[Certificate, ...]]:
    found: dict[str, dict[str, Certificate]] = {}
    for certificate in certificates:
        for name in certificate.names:
            found.setdefault(name, {}).setdefault(certificate.key_type, certificate)
    return {name: tuple(by_type.values()) for name, by_type in found.items()}


def _default_set(default: Certificate, additional: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """The default, and those of another key type that stand for all of its names."""
    by_type = {default.key_type: default}
    for certificate in additional:
        if default.names and set(default.names) <= set(certificate.names):
            by_type.setdefault(certificate.key_type, certificate)
    return tuple(by_type.values())

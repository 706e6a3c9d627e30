"""What a certificate turns out to be, once read, against the listeners that name it.

A certificate that its listener's policy cannot serve is an error on a load; on a refresh it is a warning, and the one
from before takes its place again.  What serves some clients only is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fastnlb.config.errors import Report, Where, quote
from fastnlb.config.material import KEPT, Material
from fastnlb.config.schema import ListenerBlock
from fastnlb.config.schema_validate import Parts
from fastnlb.config.snapshot import security_policy
from fastnlb.model import TCPSSL, Certificate, SecurityPolicy
from fastnlb.tls.available import has_cipher
from fastnlb.tls.policies import KEY_TYPES, SYSTEM, serving_versions

_NEEDS = {
    "RSA": "an ECDHE-RSA-* cipher",
    "ECDSA": "an ECDHE-ECDSA-* cipher",
    "Ed25519": "an ECDHE-ECDSA-* cipher and TLSv1.2",
}
_LISTED_NAMES = 3


@dataclass(frozen=True, slots=True)
class _Use:
    """A TLS listener, its place, and what the library at hand makes of its policy."""

    listener: ListenerBlock
    where: Where
    policy: SecurityPolicy


def check_material(parts: Parts, material: Material, report: Report, previous: Material | None) -> None:
    """Report what does not fit.  With a `previous`, certificates in `material` are put back to it where needed."""
    uses = list(_uses(parts, report))
    for use in uses:
        _check_default(use, material, report, previous)
    for use in uses:
        listed = list(_listed(use, material))
        _warn_of_versions(listed, use.policy, report)
        _warn_of_shared_names(listed, report)


def _uses(parts: Parts, report: Report) -> Iterator[_Use]:
    policies = dict(SYSTEM)
    for index, block in parts.security_policies.items():
        if not report.spoiled(("security_policies", index, "ciphers")):
            policies.setdefault(block.name, security_policy(block))
    for index, listener in parts.listeners.items():
        where: Where = ("listeners", index)
        policy = policies.get(listener.security_policy)
        if listener.protocol == TCPSSL and policy and not report.spoiled((*where, "security_policy")):
            yield _Use(listener, where, replace(policy, ciphers=tuple(filter(has_cipher, policy.ciphers))))


def _check_default(use: _Use, material: Material, report: Report, previous: Material | None) -> None:
    certificate = material.certificates.get(use.listener.certificate or "")
    if certificate is None or certificate.key_type not in KEY_TYPES:
        return
    if serving_versions(use.policy, certificate.key_type):
        return
    place, message = (*use.where, "certificate"), _unusable(certificate, use.policy)
    if previous is None:
        report.error(place, message)
    else:
        material.certificates[certificate.name] = previous.certificates[certificate.name]
        report.warning(place, f"{message}; {KEPT}")


def _unusable(certificate: Certificate, policy: SecurityPolicy) -> str:
    key_type = certificate.key_type
    held = f"the key of {quote(certificate.name)} is {key_type}, and no cipher of {policy.name} works with it"
    return f"{held}: the policy needs {_NEEDS[key_type]}, or TLSv1.3, or the listener another certificate"


def _listed(use: _Use, material: Material) -> Iterator[tuple[Where, Certificate]]:
    """The certificates of a listener, in order, with the place of each reference."""
    places: list[tuple[Where, str | None]] = [((*use.where, "certificate"), use.listener.certificate)]
    for index, name in enumerate(use.listener.additional_certificates):
        places.append(((*use.where, "additional_certificates", index), name))
    for place, reference in places:
        certificate = material.certificates.get(reference or "")
        if certificate is not None and certificate.key_type in KEY_TYPES:
            yield place, certificate


def _warn_of_versions(listed: list[tuple[Where, Certificate]], policy: SecurityPolicy, report: Report) -> None:
    """A version in which neither this certificate nor one of another type for the same names can be served."""
    versions = {key_type: serving_versions(policy, key_type) for key_type in KEY_TYPES}
    key_types = {certificate.key_type for _, certificate in listed}
    holders: dict[str, list[Certificate]] = {}
    for _, certificate in listed:
        for name in certificate.names:
            holders.setdefault(name, []).append(certificate)
    for place, certificate in listed:
        if len(versions[certificate.key_type]) == len(policy.tls_versions) or report.spoiled(place):
            continue
        alike = key_types
        if names := set(certificate.names):
            alike = {other.key_type for other in holders[certificate.names[0]] if names <= set(other.names)}
        served = {version for key_type in alike for version in versions[key_type]}
        missing = [version for version in policy.tls_versions if version not in served]
        if missing:
            held = f"the key of {quote(certificate.name)} is {certificate.key_type}, and {policy.name} has no cipher"
            report.warning(place, f"{held} for it in {', '.join(missing)}: clients of that version will be refused")


def _warn_of_shared_names(listed: list[tuple[Where, Certificate]], report: Report) -> None:
    """One warning for each certificate that takes names from a later one."""
    winners: dict[tuple[str, str], Certificate] = {}
    for place, second in listed:
        shared: dict[str, list[str]] = {}
        for name in second.names:
            first = winners.setdefault((second.key_type, name), second)
            if first.name != second.name:
                shared.setdefault(first.name, []).append(name)
        for winner, lost in shared.items():
            names = ", ".join(lost[:_LISTED_NAMES]) + (", ..." if len(lost) > _LISTED_NAMES else "")
            both = f"{quote(winner)} and {quote(second.name)} are both {second.key_type} certificates for {names}"
            report.warning(place, f"{both}: the first listed, {quote(winner)}, wins")

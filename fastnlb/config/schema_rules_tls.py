"""What the TLS settings ask of one another: a policy of its parts, a listener of its certificates and switches.

These are the rules that need no file but fastnlb.yaml; what a certificate turns out to be is judged by
`material_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastnlb.config import error_names
from fastnlb.config.errors import Report, Where, quote
from fastnlb.config.schema import ListenerBlock, SecurityPolicyBlock
from fastnlb.model import DEFAULT_SECURITY_POLICY, TCPSSL
from fastnlb.tls.available import has_cipher, missing_groups
from fastnlb.tls.policies import CIPHERS, ciphers_for


def check_policy(policy: SecurityPolicyBlock, where: Where, report: Report) -> None:
    """Every part is named once and does something, and each version can be negotiated."""
    for key in ("tls_versions", "ciphers", "groups"):
        _check_twice(getattr(policy, key), (*where, key), report)
    usable = ciphers_for(policy.tls_versions)
    for index, cipher in enumerate(policy.ciphers):
        if cipher not in usable:
            message = f"no version of this policy ({', '.join(policy.tls_versions)}) has the cipher {cipher}"
            report.error((*where, "ciphers", index), message)
    for version in dict.fromkeys(policy.tls_versions):
        _check_version(version, policy, (*where, "ciphers"), report)
    absent = missing_groups(policy.groups)
    for index, group in enumerate(policy.groups):
        if group in absent:
            report.error((*where, "groups", index), f"the bundled TLS library does not have the group {group}")


def _check_twice(names: Sequence[str], where: Where, report: Report) -> None:
    for index, name in enumerate(names):
        first = names.index(name)
        if first < index:
            note = report.line_note((*where, first))
            report.error((*where, index), f"{name} is in the list already{note}: name it once")


def _check_version(version: str, policy: SecurityPolicyBlock, where: Where, report: Report) -> None:
    ciphers = [cipher for cipher in policy.ciphers if cipher in CIPHERS[version]]
    if not ciphers:
        report.error(where, f"no cipher for {version}: add one, or remove it from tls_versions")
    elif not any(map(has_cipher, ciphers)):
        lacking = ", ".join(dict.fromkeys(ciphers))
        message = f"no cipher for {version} that the bundled TLS library has (it lacks {lacking})"
        report.error(where, f"{message}: add one, or remove {version} from tls_versions")


def check_tls(listener: ListenerBlock, where: Where, report: Report) -> None:
    """A TLS listener has its certificate, and another one none of the settings that only TLS has."""
    if listener.proxy_protocol is not None:
        _check_twice(listener.proxy_protocol.tlvs, (*where, "proxy_protocol", "tlvs"), report)
    if listener.protocol != TCPSSL:
        _refuse_tls_settings(listener, where, report)
        return
    if listener.certificate is None and not report.spoiled((*where, "certificate")):
        message = "a TCPSSL listener takes a certificate: add the key certificate"
        report.lacking(where, message, code=error_names.missing((*where, "certificate")))
    _check_additional(listener, where, report)
    _check_company(listener, where, report)


def _refuse_tls_settings(listener: ListenerBlock, where: Where, report: Report) -> None:
    given = {
        "certificate": listener.certificate,
        "additional_certificates": listener.additional_certificates,
        "strict_sni": listener.strict_sni,
        "ca_certificate": listener.ca_certificate,
        "client_certificate": listener.client_certificate,
        "alpn_policy": listener.alpn_policy,
        "alpn_strict": listener.alpn_strict,
        "security_policy": listener.security_policy != DEFAULT_SECURITY_POLICY,
    }
    for key, value in given.items():
        if value:
            message = f"a {listener.protocol} listener has no TLS: remove {key}, or set protocol to TCPSSL"
            report.error((*where, key), message, at_key=True)
    for index, tlv in enumerate(listener.proxy_protocol.tlvs if listener.proxy_protocol else []):
        if tlv != "crc32c":
            message = f"a {listener.protocol} listener has no TLS: remove {tlv}, or set protocol to TCPSSL"
            report.error((*where, "proxy_protocol", "tlvs", index), message)


def _check_additional(listener: ListenerBlock, where: Where, report: Report) -> None:
    """A certificate listed twice is a slip of the pen: most likely another one was meant."""
    first: dict[str, int] = {}
    for index, name in enumerate(listener.additional_certificates):
        place = (*where, "additional_certificates", index)
        listed = first.setdefault(name, index)
        if report.spoiled(place):
            continue
        if name == listener.certificate:
            message = f"{quote(name)} is the listener's certificate already: remove it here"
            report.error(place, message, code=error_names.CERTIFICATE_IN_USE)
        elif listed != index:
            note = report.line_note((*place[:-1], listed))
            message = f"{quote(name)} is in the list already{note}: name it once"
            report.error(place, message, code=error_names.CERTIFICATE_IN_USE)


def _check_company(listener: ListenerBlock, where: Where, report: Report) -> None:
    """Settings that say how, beside the one that says what; a wrong one of those counts as given."""
    asks = listener.client_certificate is not None
    if asks and listener.ca_certificate is None and not report.spoiled((*where, "ca_certificate")):
        message = "client_certificate goes with ca_certificate, which says who may sign them: add it, or remove this"
        report.error((*where, "client_certificate"), message, at_key=True)
    if listener.alpn_strict and listener.alpn_policy is None and not report.spoiled((*where, "alpn_policy")):
        message = "alpn_strict goes with alpn_policy, which has the protocols: add it, or remove this"
        report.error((*where, "alpn_strict"), message, at_key=True)

"""Host names: the one form in which certificates and clients are compared, and the names a certificate is for.

The form is lower-case ASCII (A-labels) without the dot of the root.  A wildcard is `*.` and at least one more label;
`*` stands for exactly one label, as RFC 6125 has it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

from fastnlb.tls.pem import UNDECODABLE

MAX_NAME = 253
MAX_LABEL = 63


def normalise(name: str) -> str | None:
    """`name` in the form to compare by, or None for one that no client can ask for."""
    # Before lower(): it makes an ASCII k of the Kelvin sign.
    if not name.isascii():
        return None
    plain = name.removesuffix(".").lower()
    return None if _fault(plain) else plain


def host_names(leaf: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(names, warnings): the names to choose this certificate by, and one warning for each that is of no use.

    They are the DNS names of subjectAltName, and the common name only where that extension is missing.  Addresses
    are passed over: a client that connects to one sends no name.  A certificate with no names can only be a default.
    """
    warnings = list[str]()
    try:
        found = _found(leaf)
    except (*UNDECODABLE, x509.DuplicateExtension):
        found = []
        warnings.append(
            "the extensions cannot be decoded: a name in subjectAltName that is no ASCII needs its A-label"
        )
    names = tuple(dict.fromkeys(_usable(found, warnings)))
    if not names:
        warnings.append("the certificate has no usable host name: it can only be a default certificate")
    return names, tuple(warnings)


def _found(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [attribute.value for attribute in common if isinstance(attribute.value, str)]
    return names.get_values_for_type(x509.DNSName)


def _usable(found: Iterable[str], warnings: list[str]) -> Iterable[str]:
    for name in found:
        plain = normalise(name)
        if plain is not None:
            yield plain
            continue
        fault = _fault(name.removesuffix(".")) if name.isascii() else "it is not ASCII: write its A-label"
        warnings.append(f"the host name {name!a} is ignored: {fault}")


def _fault(name: str) -> str:
    """Why this ASCII name without its last dot cannot be used, "" if it can."""
    if any(not "!" <= each <= "~" for each in name):
        return "it has a space or a control character"
    if len(name) > MAX_NAME:
        return f"it is over {MAX_NAME} characters"
    labels = name.split(".")
    if not all(labels):
        return "it has an empty label"
    if any(len(label) > MAX_LABEL for label in labels):
        return f"it has a label over {MAX_LABEL} characters"
    rest = labels[1:] if labels[0] == "*" else labels
    return "a wildcard has to be *. and at least one label" if not rest or "*" in "".join(rest) else ""

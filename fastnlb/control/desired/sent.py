"""What clients send, as blocks of a document: PEM text is taken into the store, and named as a file of it would be.

    certificates      certificate_pem, private_key_pem (or both in the first), ocsp_response_base64, or self_signed
    CA certificates   certificate_pem, crl_pem

A field that is not sent keeps what it was: a certificate may be renewed under the key it has.  Where the resource is
sent whole, that goes for what is never shown, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Protocol

from fastnlb.config.errors import quote
from fastnlb.control.desired.edits import InvalidError
from fastnlb.control.desired.kinds import CA_CERTIFICATES, CERTIFICATES, Kind
from fastnlb.control.store.material import apart
from fastnlb.tls.material import self_signed

FIELDS: Mapping[str, Mapping[str, str]] = {
    CERTIFICATES.key: {
        "certificate_pem": "certificate",
        "private_key_pem": "private_key",
        "ocsp_response_base64": "ocsp_response",
    },
    CA_CERTIFICATES.key: {"certificate_pem": "certificate", "crl_pem": "crl"},
}
"""What is sent, and the key of the block that it becomes."""

_SUFFIXES = {"certificate": "pem", "private_key": "key", "ocsp_response": "der", "crl": "crl"}
_OTHERS = {CERTIFICATES.key: ("name", "self_signed", "tags"), CA_CERTIFICATES.key: ("name", "verify_depth", "tags")}
_UNSEEN = ("private_key", "ocsp_response")
_MOST_NAMES = 100


class Shelf(Protocol):
    """Where material is kept: a Store."""

    def take_in(self, data: bytes, suffix: str) -> str: ...


def as_block(
    kind: Kind, sent: Mapping[str, Any], held: Mapping[str, Any] | None, shelf: Shelf, *, whole: bool = False
) -> dict[str, Any]:
    """The block for `sent`, in place of the one that is `held`.  Raises InvalidError, and StoreError of the shelf."""
    fields = FIELDS.get(kind.key)
    if fields is None:
        return dict(sent)
    _refuse_unknown(kind, sent)
    block = {key: value for key, value in sent.items() if key not in (*fields, "self_signed")}
    material = dict(_material(kind, sent))
    for key in fields.values():
        if key in material:
            block[key] = shelf.take_in(material[key], _SUFFIXES[key])
        elif held is not None and key in held and _is_kept(key, material, sent) and (not whole or key in _UNSEEN):
            block[key] = held[key]
    if "certificate" not in block:
        raise InvalidError("missing: send PEM text", "certificate_pem", "MissingParam.Certificate")
    return block


def _is_kept(key: str, material: Mapping[str, bytes], sent: Mapping[str, Any]) -> bool:
    """A response belongs to one certificate; null takes away what can be done without."""
    if key == "ocsp_response":
        return "certificate" not in material and "ocsp_response_base64" not in sent
    return not (key == "crl" and "crl_pem" in sent)


def _material(kind: Kind, sent: Mapping[str, Any]) -> dict[str, bytes]:
    if "self_signed" in sent:
        return _made(sent)
    found = {}
    for field, key in FIELDS[kind.key].items():
        if sent.get(field) is not None:
            found[key] = _response(sent[field]) if key == "ocsp_response" else _pem(sent[field], field)
    if kind is CA_CERTIFICATES:
        _refuse_keys(sent)
        return {key: apart(text)[0] for key, text in found.items()}
    if "certificate" in found:
        chain, key_in_it = apart(found["certificate"])
        found["certificate"] = chain
        if key_in_it:
            found.setdefault("private_key", key_in_it)
    return found


def _refuse_keys(sent: Mapping[str, Any]) -> None:
    """Whoever sends one takes this for another kind of resource."""
    for field in FIELDS[CA_CERTIFICATES.key]:
        if "PRIVATE KEY" in str(sent.get(field)):
            raise InvalidError("there is a private key in it: nobody needs it here", field)


def _made(sent: Mapping[str, Any]) -> dict[str, bytes]:
    """A certificate to try things with."""
    names = sent["self_signed"]
    if any(field in sent for field in FIELDS[CERTIFICATES.key]):
        raise InvalidError(
            "it makes a certificate and a key: leave out certificate_pem and private_key_pem", "self_signed"
        )
    if not isinstance(names, list) or not 1 <= len(names) <= _MOST_NAMES or not all(map(_is_text, names)):
        raise InvalidError("takes a list of host names, such as [www.example.com]", "self_signed")
    try:
        chain, key = self_signed(names)
    except ValueError as error:
        raise InvalidError(str(error), "self_signed") from None
    return {"certificate": chain, "private_key": key}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 253


def _pem(value: object, field: str) -> bytes:
    if not isinstance(value, str):
        raise InvalidError("takes PEM text", field)
    return value.encode("utf-8", "replace")


def _response(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidError("takes an OCSP response (DER) in base64", "ocsp_response_base64") from None


def _refuse_unknown(kind: Kind, sent: Mapping[str, Any]) -> None:
    known = (*_OTHERS[kind.key], *FIELDS[kind.key])
    for key in sent:
        if key not in known:
            raise InvalidError(f"unknown key {quote(key)}; the keys here are {', '.join(known)}", key)

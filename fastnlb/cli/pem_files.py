"""Certificates, keys and lists in files of this machine, as the API takes them: PEM text, and base64 for DER.

Keys are decrypted here: a passphrase stays where it is.  What else may be wrong with them is for the daemon to say.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastnlb.cli.kinds import CA_CERTIFICATE, CERTIFICATE, Kind
from fastnlb.cli.printing import say
from fastnlb.cli.refusal import Refused

Sent = dict[str, Any]

CERTIFICATE_FILES = ("certificate", "private_key", "private_key_passphrase_file", "ocsp_response")
AUTHORITY_FILES = ("certificate", "crl")
SENT: dict[str, str] = {
    "certificate": "certificate_pem",
    "private_key": "private_key_pem",
    "ocsp_response": "ocsp_response_base64",
    "crl": "crl_pem",
}
"""The keys whose files are sent, and how the API calls what is in them."""
_CRL = "X509 CRL"
_LINE = 64


def files_of(kind: Kind) -> tuple[str, ...]:
    """The keys of a kind that name files."""
    return {CERTIFICATE: CERTIFICATE_FILES, CA_CERTIFICATE: AUTHORITY_FILES}.get(kind, ())


def with_contents(kind: Kind, resource: Mapping[str, Any], folder: Path, subject: str) -> Sent:
    """The resource with the contents of files in place of their names, which are relative to `folder`.

    No file is null, which takes away what there was.
    Raises Refused, in which `subject` is what it is about.
    """
    names = files_of(kind)
    named = {key: resource[key] for key in names if resource.get(key) is not None}
    rest = {key: value for key, value in resource.items() if key not in names}
    rest |= {SENT[key]: None for key in names if key in resource and key not in named and key in SENT}
    if not named:
        return rest
    from fastnlb.tls.files import MaterialError  # noqa: PLC0415  cryptography is for those who need it

    try:
        files = {key: folder / _checked(value, key, subject) for key, value in named.items()}
        return {**rest, **(_of_pair(files, subject) if kind == CERTIFICATE else _of_authority(files))}
    except MaterialError as error:
        part = error.part if error.part in named else next(iter(named))
        raise Refused([f"{subject}: {part}: {error}"]) from None


def _checked(value: object, key: str, subject: str) -> str | Path:
    if isinstance(value, str | Path) and str(value).strip() and "\0" not in str(value):
        return value
    raise Refused([f"{subject}: {key}: {key} takes the path of a file"])


def _of_pair(files: Mapping[str, Path], subject: str) -> Sent:
    from fastnlb.tls.files import MaterialError, read  # noqa: PLC0415
    from fastnlb.tls.pem import CERTIFICATE as BLOCK  # noqa: PLC0415
    from fastnlb.tls.pem import PRIVATE_KEY, read_pem  # noqa: PLC0415

    sent: Sent = {}
    key_file = files.get("private_key")
    if "certificate" in files:
        chain = read_pem(files["certificate"], "certificate")
        if not chain.of(BLOCK):
            wanted = "PEM with the leaf first is needed"
            raise MaterialError(f"{chain.name} has no CERTIFICATE block: {wanted}{chain.hint}")
        sent["certificate_pem"] = _joined(chain.of(BLOCK))
        if key_file is None and chain.of(PRIVATE_KEY):
            key_file = files["certificate"]
    if key_file is not None:
        sent["private_key_pem"] = _key(key_file, files.get("private_key_passphrase_file"), subject)
    elif "private_key_passphrase_file" in files:
        raise MaterialError("there is no key for it", "private_key_passphrase_file")
    if "ocsp_response" in files:
        response = read(files["ocsp_response"], "ocsp_response", wanted="a DER file")
        sent["ocsp_response_base64"] = base64.b64encode(response.raw).decode("ascii")
    return sent


def _key(path: Path, passphrase: Path | None, subject: str) -> str:
    from fastnlb.tls.keys import key_pem, load_key  # noqa: PLC0415
    from fastnlb.tls.pem import read_pem, without_remarks  # noqa: PLC0415

    file = read_pem(path, "private_key")
    with without_remarks():
        key, _ = load_key(file, passphrase)
    if file.exposed:
        text = f"{path} holds a private key and others than its owner can read it: chmod 600 it"
        say(f"warning: {subject}: {text}", err=True)
    return key_pem(key).decode("ascii")


def _of_authority(files: Mapping[str, Path]) -> Sent:
    from fastnlb.tls.authority import MAX_BUNDLE_BYTES, MAX_CRL_BYTES  # noqa: PLC0415
    from fastnlb.tls.files import MaterialError, read  # noqa: PLC0415
    from fastnlb.tls.pem import CERTIFICATE as BLOCK  # noqa: PLC0415
    from fastnlb.tls.pem import parse_pem, read_pem  # noqa: PLC0415

    sent: Sent = {}
    if "certificate" in files:
        bundle = read_pem(files["certificate"], "certificate", MAX_BUNDLE_BYTES)
        if not bundle.of(BLOCK):
            wanted = "PEM with the certificates of one or more CAs is needed"
            raise MaterialError(f"{bundle.name} has no CERTIFICATE block: {wanted}{bundle.hint}")
        sent["certificate_pem"] = _joined(bundle.of(BLOCK))
    if "crl" in files:
        contents = read(files["crl"], "crl", MAX_CRL_BYTES, "a file with CRLs")
        lists = parse_pem(contents).of(_CRL)
        sent["crl_pem"] = _joined(lists) if lists else "".join(_as_pem(contents.raw, _CRL))
    return sent


def _joined(blocks: list[bytes]) -> str:
    return b"".join(blocks).decode("ascii", "replace")


def _as_pem(der: bytes, label: str) -> Iterator[str]:
    text = base64.b64encode(der).decode("ascii")
    yield f"-----BEGIN {label}-----\n"
    for at in range(0, len(text), _LINE):
        yield text[at : at + _LINE] + "\n"
    yield f"-----END {label}-----\n"

"""A configuration that was read from files, as a document that needs none of them."""

from __future__ import annotations

from typing import Any

from fastnlb.config.build import Built
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document
from fastnlb.model import CaCertificate, Certificate


def taken_in(built: Built, store: Store) -> Document:
    """The document of `built`, with its certificates, keys and lists copied into the store.  Raises StoreError.

    Keys are kept unencrypted, as the daemon has them in memory: a passphrase beside its key protects nothing.  An
    OCSP response that was of no use is left out.
    """
    material = built.material
    document = {kind: list(blocks) for kind, blocks in built.loaded.document.items()}
    document["certificates"] = _replaced(
        store, document["certificates"], [_of_pair(each) for each in material.certificates.values()]
    )
    document["ca_certificates"] = _replaced(
        store, document["ca_certificates"], [_of_authority(each) for each in material.ca_certificates.values()]
    )
    return document


def _of_pair(certificate: Certificate) -> dict[str, tuple[bytes, str]]:
    found = {"certificate": (certificate.chain_pem, "pem"), "private_key": (certificate.key_pem, "key")}
    if certificate.staple is not None:
        found["ocsp_response"] = (certificate.staple.der, "der")
    return found


def _of_authority(authority: CaCertificate) -> dict[str, tuple[bytes, str]]:
    found = {"certificate": (authority.bundle_pem, "pem")}
    if authority.crl_pem:
        found["crl"] = (authority.crl_pem, "crl")
    return found


def _replaced(
    store: Store, blocks: list[dict[str, Any]], material: list[dict[str, tuple[bytes, str]]]
) -> list[dict[str, Any]]:
    """The blocks, which are in the order of `material`, with references in place of paths."""
    references = iter(store.take_in_all(item for each in material for item in each.values()))
    return [
        {**_without_paths(block), **{key: next(references) for key in held}}
        for block, held in zip(blocks, material, strict=True)
    ]


def _without_paths(block: dict[str, Any]) -> dict[str, Any]:
    paths = ("certificate", "private_key", "private_key_passphrase_file", "ocsp_response", "crl")
    return {key: value for key, value in block.items() if key not in paths}

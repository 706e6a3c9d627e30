"""The order of a certificate chain: each certificate is issued by the next one, by name and by signature.

TLS clients may follow a chain in no other order (RFC 5246, 7.4.2).  A root at the end is allowed, and so is a leaf
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from fastnlb.tls.files import MaterialError
from fastnlb.tls.notice import Notice, validity
from fastnlb.tls.pem import UNDECODABLE, issuer, position_of, subject, weak_digest


def check_order(chain: Sequence[x509.Certificate], name: str) -> None:
    """Raises MaterialError, which says what order would be right, for a chain (leaf first) that is not in order."""
    for index, certificate in enumerate(chain):
        if certificate in chain[:index]:
            which = f"{position_of(name, index, len(chain))} ({subject(certificate)})"
            raise MaterialError(f"{which} is also certificate {chain.index(certificate) + 1}: remove one of them")
    for index in range(len(chain) - 1):
        if not issued(chain[index], chain[index + 1]):
            raise MaterialError(f"{_mismatch(chain, index, name)}: {_advice(chain)}")


def issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Whether `by` issued `certificate`: its name, and its signature wherever the library can check it."""
    if weak_digest(certificate):
        return certificate.issuer == by.subject
    try:
        certificate.verify_directly_issued_by(by)
    except (*UNDECODABLE, InvalidSignature):
        return False
    return True


def chain_notices(chain: Sequence[x509.Certificate], name: str) -> Iterator[Notice]:
    """What clients will dislike about a chain that is in order: certificates out of their time, weak signatures."""
    for index, certificate in enumerate(chain):
        which = position_of(name, index, len(chain))
        yield from validity(which, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        digest = weak_digest(certificate)
        if digest and certificate.issuer != certificate.subject:
            yield Notice(f"{which} is signed with {digest}, which clients refuse: have it issued again with SHA-256")


def _mismatch(chain: Sequence[x509.Certificate], index: int, name: str) -> str:
    this, following = chain[index], chain[index + 1]
    parent = f"{position_of(name, index + 1, len(chain))} ({subject(following)})"
    child = f"certificate {index + 1} ({subject(this)})"
    if this.issuer == following.subject:
        return f"{parent} has the name but not the key of the issuer of {child}"
    return f"{parent} is not the issuer of {child}"


def _advice(chain: Sequence[x509.Certificate]) -> str:
    path = _path(chain)
    right = ", ".join(str(index + 1) for index in path)
    rest = ", ".join(str(index + 1) for index in range(len(chain)) if index not in path)
    if not rest:
        return f"the right order is {right}"
    last = chain[path[-1]]
    kept = f"keep {right} in this order and remove {rest}" if len(path) > 1 else f"keep {right} and remove {rest}"
    return kept if last.issuer == last.subject else f"{kept}; what issued {path[-1] + 1} is {issuer(last)}"


def _path(chain: Sequence[x509.Certificate]) -> list[int]:
    """From the leaf up, as far as its issuers are here."""
    path = [0]
    while True:
        above = (index for index in range(len(chain)) if index not in path and issued(chain[path[-1]], chain[index]))
        following = next(above, None)
        if following is None:
            return path
        path.append(following)

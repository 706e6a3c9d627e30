"""The TLS contexts of a worker, by what they were made from: built once, kept while a generation in use needs them.

So a change parses only what it changed: a certificate that stays, under settings that stay, keeps its context.
Fronts come from a pool that was made before the fork; which one a listener has is the master's to say.
All methods are for one thread, whichever it is, but for `configure`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from OpenSSL import SSL

from fastnlb.model import CaCertificate, Certificate, Front
from fastnlb.tls.binding import leaf_address
from fastnlb.tls.contexts import (
    Authorities,
    Security,
    add_certificate,
    client_authorities,
    configure_front,
    inner_context,
    make_fronts,
)

_Material = tuple[tuple[bytes, bytes], ...]
TakenFront = tuple[Front, Security, bytes]
"""A front, what it is configured for, and the session_id it then has."""


@dataclass(frozen=True, slots=True)
class Inner:
    """A context and, in the order of its certificates, the X509* addresses of their leaves."""

    context: SSL.Context
    leaves: tuple[int, ...]


class Contexts:
    """All contexts of this process.  Every method that builds one raises fastnlb.tls.contexts.ContextError."""

    def __init__(self, fronts: Sequence[SSL.Context] = ()) -> None:
        self._pool = fronts
        self._configured: dict[int, int] = {}
        self._own_fronts: dict[bytes, SSL.Context] = {}
        self._inner: dict[Security, dict[_Material, Inner]] = {}  # the hash of a CRL is not worth asking for twice
        self._authorities: dict[CaCertificate, Authorities] = {}
        self._securities: dict[Security, Security] = {}
        self._in_use: dict[int, list[object]] = {}

    def intern(self, security: Security) -> Security:
        """The equal one that is known already, so that later comparisons are by identity: a CRL may be large."""
        return self._securities.setdefault(security, security)

    def front(self, front: Front, security: Security, session: bytes) -> SSL.Context:
        """The context of a listener's connections, which `configure` makes ready; `session` is its session_id."""
        if not self._in_pool(front):
            return self._own_front(security, session)
        return self._pool[front.number]

    def configure(self, fronts: Iterable[TakenFront]) -> None:
        """Gives the fronts that this worker meets for the first time their settings.

        On the thread of the event loop, always: an old connection may still be using the front.
        """
        for front, security, session in fronts:
            if self._in_pool(front) and self._configured.get(front.number) != front.epoch:
                configure_front(self._pool[front.number], security, session)
                self._configured[front.number] = front.epoch

    def _in_pool(self, front: Front) -> bool:
        return 0 <= front.number < len(self._pool)

    def _own_front(self, security: Security, session: bytes) -> SSL.Context:
        """The pool was too small: sessions of this listener resume in this worker only."""
        if session not in self._own_fronts:
            (context,) = make_fronts(1)
            configure_front(context, security, session)
            self._own_fronts[session] = context
        return self._own_fronts[session]

    def inner(self, certificates: Sequence[Certificate], security: Security) -> Inner:
        material = tuple((certificate.chain_pem, certificate.key_pem) for certificate in certificates)
        made = self._inner.setdefault(security, {})
        inner = made.get(material)
        if inner is None:
            inner = made[material] = self._build(certificates, security)
        return inner

    def _build(self, certificates: Sequence[Certificate], security: Security) -> Inner:
        context, leaves = inner_context([], security, self._authorities_of(security)), []
        for certificate in certificates:
            add_certificate(context, certificate)
            leaves.append(leaf_address(context))
        return Inner(context, tuple(leaves))

    def _authorities_of(self, security: Security) -> Authorities | None:
        if security.authority is None:
            return None
        if security.authority not in self._authorities:
            self._authorities[security.authority] = client_authorities(security.authority)
        return self._authorities[security.authority]

    def hold(self, generation: int, used: list[object]) -> None:
        """These fronts, inner contexts and authorities are what `generation` needs."""
        self._in_use[generation] = used

    def keep_only(self, generations: set[int]) -> None:
        """Let go of everything that none of these generations uses, what was built for a refused one included."""
        self._in_use = {number: used for number, used in self._in_use.items() if number in generations}
        wanted = {id(thing) for used in self._in_use.values() for thing in used}
        self._inner = {security: kept for security, made in self._inner.items() if (kept := _only(made, wanted))}
        self._own_fronts = {key: front for key, front in self._own_fronts.items() if id(front) in wanted}
        self._securities = {security: security for security in self._inner}
        known = {security.authority for security in self._securities}
        self._authorities = {key: kept for key, kept in self._authorities.items() if key in known}


def _only(made: dict[_Material, Inner], wanted: set[int]) -> dict[_Material, Inner]:
    return {material: inner for material, inner in made.items() if id(inner) in wanted}


def session_id(listener: str, front: Front, security: Security) -> bytes:
    """Sessions cross no border of it: another listener, other settings, another taking of a front.

    Made once for a build and not on the loop's thread: a CRL may be large.
    """
    return hashlib.sha256(repr((listener, front.epoch, security)).encode()).digest()

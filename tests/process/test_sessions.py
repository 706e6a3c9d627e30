"""Sessions with the real program: each worker resumes what any of them began, and never across a border.

What a border is: another listener, and any change of what clients have to prove or of the security policy.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certs import CLIENT, PEM, Issued
from support.procs import free_port, wait_for
from support.rig import echo
from support.tls_client import TlsClient
from support.tls_site import TlsSite

VERSIONS = ("TLSv1.2", "TLSv1.3")
NAMES = (b"localhost", None)
KINDS = [(version, name) for version in VERSIONS for name in NAMES]
MINE = {
    "name": "mine",
    "tls_versions": list(VERSIONS),
    "ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256"],
    "groups": ["X25519", "P-256"],
}
ROOT, STAFF, PARTNERS = Issued.root(), Issued.root("staff"), Issued.root("partners")
ALICE = STAFF.issue(common_name="alice", usages=[CLIENT])
BOB = STAFF.issue(common_name="bob", usages=[CLIENT])


def crl(*revoked: Issued) -> bytes:
    return STAFF.crl(*revoked).public_bytes(PEM)


@pytest.fixture
def server(backend: Callable[..., Any]) -> Any:
    return backend(echo)


@pytest.fixture
def site(tmp_path: Path, server: Any) -> Iterator[TlsSite]:
    made = TlsSite(tmp_path, server.address)
    made.configure(certificates=[made.certificate("c", ROOT.issue("localhost"))])
    yield made
    made.end()


def begin(site: TlsSite, port: int, **wishes: Any) -> dict[tuple[str, bytes | None], TlsClient]:
    """A session of each kind."""
    return {(version, name): site.visit(port, version, name=name, **wishes) for version, name in KINDS}


def all_resume(site: TlsSite, port: int, sessions: dict[tuple[str, bytes | None], TlsClient]) -> None:
    for (version, name), session in sessions.items():
        site.assert_resumes(port, version, session, name=name)


def none_resumes(site: TlsSite, port: int, sessions: dict[tuple[str, bytes | None], TlsClient]) -> None:
    for (version, name), session in sessions.items():
        site.assert_never_resumes(port, version, session, name=name)


def all_refused(site: TlsSite, port: int, sessions: dict[tuple[str, bytes | None], TlsClient], reason: str) -> None:
    """In every worker, and no server hears of it."""
    connects = site.total("connects")
    for (version, name), session in sessions.items():
        address = ("127.0.0.1", port)
        site.everywhere(reason, lambda: TlsClient(address, version, name=name, resume=session).refused())  # noqa: B023
    assert site.total("connects") == connects


# Where they resume


def test_in_every_worker_and_with_a_new_certificate(site: TlsSite) -> None:
    port = free_port()
    site.configure(listeners=[site.listener("l", port)])
    site.start()
    sessions = begin(site, port)
    all_resume(site, port, sessions)
    site.certificate("c", ROOT.issue("localhost", common_name="renewed"))
    site.reload_done()
    assert site.shown_everywhere(port) == {"renewed"}
    all_resume(site, port, sessions)


def test_with_the_heirs_of_all_workers_and_of_control(site: TlsSite) -> None:
    port = free_port()
    site.configure(listeners=[site.listener("l", port)])
    site.start()
    sessions = begin(site, port)
    for worker in site.workers:
        served = site.count(" serves")
        os.kill(worker, signal.SIGKILL)
        site.wait_count(" serves", served + 1)
    all_resume(site, port, sessions)
    os.kill(site.control, signal.SIGKILL)
    site.wait_count("control started", 2)
    site.certificate("c", ROOT.issue("localhost", common_name="renewed"))
    site.reload_done()
    all_resume(site, port, sessions)


def test_after_a_change_that_was_rolled_back(site: TlsSite) -> None:
    """Of the new policy nothing must stay either, although the workers may have prepared it."""
    port = free_port()
    before = site.listener("l", port)
    site.configure(listeners=[before])
    site.start()
    sessions = begin(site, port)
    with socket.create_server(("127.0.0.1", 0)) as other:
        guarded = {**before, "ca_certificate": "staff"}
        late = site.listener("late", other.getsockname()[1])
        site.configure(ca_certificates=[site.authority(STAFF)], listeners=[guarded, late])
        site.reload()
        site.wait_count("the change was refused, nothing has changed", 1)
    all_resume(site, port, sessions)
    site.reload_done()
    all_refused(site, port, sessions, "client_certificates_missing")


# Where they do not


def test_not_across_listeners(site: TlsSite) -> None:
    plain, guarded, strict = free_port(), free_port(), free_port()
    listeners = [
        site.listener("plain", plain),
        site.listener("guarded", guarded, ca_certificate="staff"),
        site.listener("strict", strict, security_policy="mine"),
    ]
    site.configure(ca_certificates=[site.authority(STAFF)], security_policies=[MINE], listeners=listeners)
    site.start()
    of_plain, of_guarded = begin(site, plain), begin(site, guarded, identity=ALICE)
    none_resumes(site, strict, of_plain)
    all_refused(site, guarded, of_plain, "client_certificates_missing")
    none_resumes(site, plain, of_guarded)
    none_resumes(site, guarded, begin(site, strict, identity=ALICE))
    all_resume(site, guarded, of_guarded)


GUARDED = {"ca_certificate": "staff"}
OPTIONAL = {"ca_certificate": "staff", "client_certificate": "optional"}
OTHER_POLICY = {"security_policy": "tls_cipher_policy_1_2_strict"}
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[TlsSite], object]]] = {
    "authentication on": ({}, GUARDED, lambda site: None),
    "authentication optional": ({}, OPTIONAL, lambda site: None),
    "authentication off": (GUARDED, {}, lambda site: None),
    "optional to required": (OPTIONAL, GUARDED, lambda site: None),
    "the authorities": (GUARDED, GUARDED, lambda site: site.authority(STAFF, PARTNERS)),
    "a CRL added": (
        GUARDED,
        GUARDED,
        lambda site: site.configure(ca_certificates=[site.authority(STAFF, crl=crl())]),
    ),
    "a system policy": ({"security_policy": "tls_cipher_policy_1_2"}, OTHER_POLICY, lambda site: None),
    "a policy of one's own": (
        {"security_policy": "mine"},
        {"security_policy": "mine"},
        lambda site: site.configure(security_policies=[{**MINE, "groups": ["P-256", "X25519"]}]),
    ),
}


@pytest.mark.parametrize("what", list(CHANGES))
def test_not_across_a_change_of(site: TlsSite, what: str) -> None:
    before, after, change = CHANGES[what]
    port = free_port()
    site.configure(
        ca_certificates=[site.authority(STAFF)],
        security_policies=[MINE],
        listeners=[site.listener("l", port, **before)],
    )
    site.start()
    kinds = KINDS if what != "a system policy" else [kind for kind in KINDS if kind[0] == "TLSv1.2"]
    sessions = {kind: site.visit(port, kind[0], name=kind[1], identity=ALICE) for kind in kinds}
    site.configure(listeners=[site.listener("l", port, **after)])
    change(site)
    site.reload_done()
    none_resumes(site, port, sessions)


def test_a_session_from_before_is_no_way_around_client_authentication(site: TlsSite, server: Any) -> None:
    port = free_port()
    site.configure(ca_certificates=[site.authority(STAFF)], listeners=[site.listener("l", port)])
    site.start()
    sessions = begin(site, port)
    wait_for(lambda: site.total("connects") == len(sessions), "the visits")
    accepted = len(server.accepted)
    site.configure(listeners=[site.listener("l", port, **GUARDED)])
    site.reload_done()
    all_refused(site, port, sessions, "client_certificates_missing")
    assert len(server.accepted) == accepted
    # Off and on again, which must not bring the first sessions back.
    site.configure(listeners=[site.listener("l", port)])
    site.reload_done()
    none_resumes(site, port, sessions)


def test_a_revoked_client_is_refused_with_its_session(site: TlsSite) -> None:
    port = free_port()
    block = site.authority(STAFF, crl=crl())
    site.configure(ca_certificates=[block], listeners=[site.listener("l", port, **GUARDED)])
    site.start()
    of_alice, of_bob = begin(site, port, identity=ALICE), begin(site, port, identity=BOB)
    all_resume(site, port, of_alice)
    site.authority(STAFF, crl=crl(ALICE))
    site.reload_done()
    all_refused(site, port, of_alice, "client_certificates_refused")
    none_resumes(site, port, of_bob)

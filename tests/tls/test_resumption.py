"""Sessions resume wherever they may, and across no border: listener, client authentication, CA, CRL, policy."""

from dataclasses import replace

import pytest
from support.certs import CLIENT, PEM, Issued
from support.procs import wait_for
from support.tls_rig import certificate

from fastnlb.model import DEFAULT_SECURITY_POLICY, OPTIONAL, CaCertificate
from fastnlb.tls.policies import SYSTEM

MINE = replace(SYSTEM[DEFAULT_SECURITY_POLICY], name="mine")


@pytest.fixture(scope="module")
def root():
    return Issued.root()


@pytest.fixture(scope="module")
def served(root):
    return [certificate("c", root.issue("localhost"))]


@pytest.fixture(scope="module")
def staff():
    return Issued.root("staff")


@pytest.fixture(scope="module")
def alice(staff):
    return staff.issue(common_name="alice", usages=[CLIENT])


@pytest.fixture(
    params=[{"name": b"localhost"}, {"name": None}, {"name": b"localhost", "groups": "X25519:X25519MLKEM768:P-256"}],
    ids=["sni", "no-sni", "hello-retried"],
)
def hello(request):
    """How a client begins; the last one makes a TLS 1.3 server ask for another key share first."""
    return request.param


def authority(*issuers, crls=(), **more):
    crl = b"".join(each.public_bytes(PEM) for each in crls)
    return CaCertificate("staff", b"".join(each.pem for each in issuers), crl, **more)


def visit(one, version, **wishes):
    """A whole visit, after which the client holds what it needs to resume."""
    client = one.tls_client(version, **wishes).handshake()
    client.send(b"hello")
    assert client.receive_exactly(5) == b"hello"
    # A client library gives up a session whose connection was not ended in order.
    client.end_stream()
    return client


def resumes(one, version, before, hello):
    """Whether a second visit resumed the session of the first."""
    was = one.counters()["handshakes_resumed"]
    handshakes = one.counters()["handshakes"]
    visit(one, version, resume=before, name=hello["name"])
    one.wait_for(handshakes=handshakes + 1)
    return one.counters()["handshakes_resumed"] > was


# --- where they do ---------------------------------------------------------------------------------------------


def test_in_the_same_worker_and_in_its_sibling(tls_rig, served, version, hello):
    one = tls_rig(served)
    other = tls_rig(served, beside=one)
    session = visit(one, version, **hello)
    assert resumes(one, version, session, hello)
    assert resumes(other, version, session, hello)


def test_across_a_change_of_the_certificate(tls_rig, served, root, version, hello):
    one = tls_rig(served)
    session = visit(one, version, **hello)
    one.change([certificate("c", root.issue("localhost", key="RSA")), certificate("d", root.issue("d.test"))])
    assert resumes(one, version, session, hello)


def test_across_changes_that_concern_no_authentication(tls_rig, served, version, hello):
    one = tls_rig(served)
    session = visit(one, version, **hello)
    one.change(alpn_policy="HTTP2Preferred", idle_timeout=60)
    assert resumes(one, version, session, hello)


def test_with_a_client_certificate(tls_rig, served, staff, alice, version, hello):
    one = tls_rig(served, authority=authority(staff))
    session = visit(one, version, **hello, identity=alice)
    assert resumes(one, version, session, hello)


def test_a_client_certificate_has_to_be_shown_again_before_long(tls_rig, served, staff, alice, version, monkeypatch):
    """A resumed TLS 1.3 session brings a new ticket: else it would never end, whatever became of alice."""
    monkeypatch.setattr("fastnlb.tls.contexts.AUTHENTICATED_SESSION_SECONDS", 3)  # counted in whole seconds
    one = tls_rig(served, authority=authority(staff))
    last = visit(one, version, identity=alice)

    def shown_again():
        nonlocal last
        last = visit(one, version, resume=last)
        return one.counters()["client_certificates_verified"] > 1

    wait_for(shown_again, "the client's certificate to be asked for again")
    assert one.counters()["handshakes_resumed"] > 0


def test_in_the_same_worker_when_the_pool_is_used_up(tls_rig, served, version, hello):
    one = tls_rig(served, pool=0)
    session = visit(one, version, **hello)
    one.change(idle_timeout=60)
    assert resumes(one, version, session, hello)


# --- and where they must not -----------------------------------------------------------------------------------


def changes(staff):
    """what changes -> the listener before, and what is different after it."""
    first, second = authority(staff), authority(staff, Issued.root("partners"))
    bob = staff.issue(common_name="bob")
    return {
        "client authentication on": ({}, {"authority": first}),
        "client authentication on, optional": ({}, {"authority": first, "client_certificate": OPTIONAL}),
        "client authentication off": ({"authority": first}, {"authority": None}),
        "from optional to required": (
            {"authority": first, "client_certificate": OPTIONAL},
            {"client_certificate": "required"},
        ),
        "a name is asked for": ({}, {"strict_sni": True}),
        "another authority": ({"authority": first}, {"authority": second}),
        "a CRL": ({"authority": first}, {"authority": authority(staff, crls=[staff.crl()])}),
        "another CRL": (
            {"authority": authority(staff, crls=[staff.crl()])},
            {"authority": authority(staff, crls=[staff.crl(bob)])},
        ),
        "the depth": ({"authority": first}, {"authority": authority(staff, verify_depth=1)}),
        "another policy": ({}, {"policy": MINE}),
        "the ciphers of a policy": (
            {"policy": MINE},
            {"policy": replace(MINE, ciphers=tuple(each for each in MINE.ciphers if "CCM" not in each))},
        ),
        "the groups of a policy": ({"policy": MINE}, {"policy": replace(MINE, groups=("X25519", "P-256"))}),
    }


@pytest.mark.parametrize("what", list(changes(Issued.root())))
@pytest.mark.parametrize("sibling", [False, True], ids=["same-worker", "sibling"])
def test_not_across_a_change_of(tls_rig, served, staff, alice, version, hello, what, sibling):
    before, after = changes(staff)[what]
    one = tls_rig(served, **before)
    session = visit(one, version, **hello, identity=alice)
    one.change(**after)
    place = tls_rig(served, beside=one, **{**before, **after}) if sibling else one
    if after.get("strict_sni") and hello["name"] is None:
        assert "unrecognized" in place.tls_client(version, resume=session, name=None).refused()
    else:
        assert not resumes(place, version, session, hello)


def test_a_session_from_before_does_not_get_a_client_without_certificate_in(tls_rig, served, staff, version, hello):
    one = tls_rig(served)
    session = visit(one, version, **hello)
    one.change(authority=authority(staff))
    one.tls_client(version, resume=session, name=hello["name"]).refused()
    one.wait_for(client_certificates_missing=1)
    assert one.counters()["connects"] == 1


def test_a_revoked_client_does_not_come_back_by_its_session(tls_rig, served, staff, alice, version, hello):
    one = tls_rig(served, authority=authority(staff, crls=[staff.crl()]))
    session = visit(one, version, **hello, identity=alice)
    one.change(authority=authority(staff, crls=[staff.crl(alice)]))
    assert "revoked" in one.tls_client(version, resume=session, name=hello["name"]).refused()


@pytest.mark.parametrize("sibling", [False, True], ids=["same-worker", "sibling"])
def test_not_on_another_listener(tls_rig, served, staff, alice, version, hello, sibling):
    """The second listener asks for certificates: its door must not open to the first one's sessions."""
    one = tls_rig(served)
    session = visit(one, version, **hello)
    open_one = tls_rig(served, beside=one if sibling else None, name="m")
    assert not resumes(open_one, version, session, hello)
    guarded = tls_rig(served, beside=one if sibling else None, name="n", authority=authority(staff))
    guarded.tls_client(version, resume=session, name=hello["name"]).refused()
    assert guarded.counters()["connects"] == 0


def test_not_with_a_front_that_is_used_again(tls_rig, served, staff, version, hello):
    """One front for every state: its ticket keys are the same, and only the session id context tells them apart."""
    one = tls_rig(served, pool=1)
    session = visit(one, version, **hello)
    one.change(authority=authority(staff))
    one.tls_client(version, resume=session, name=hello["name"]).refused()
    one.change(authority=None)
    assert not resumes(one, version, session, hello)
    one.wait_for(client_certificates_missing=1)


def test_a_forged_or_damaged_ticket_is_a_full_handshake(tls_rig, served, version, hello):
    """A ticket of a stranger's: another daemon, with keys of its own."""
    stranger, one = tls_rig(served), tls_rig(served)
    session = visit(stranger, version, **hello)
    assert not resumes(one, version, session, hello)

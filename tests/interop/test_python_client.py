"""Python's own ssl module: a client that verifies, names, ALPN, client certificates and resumption."""

import socket
import ssl

import pytest

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
ATTEMPTS = 60  # each is taken by either of two workers


@pytest.fixture
def context(site, version):
    made = ssl.create_default_context(cafile=site.trust)
    made.minimum_version = made.maximum_version = VERSIONS[version]
    return made


def visit(context, port, name="www.example.test", session=None):
    """What is known of a connection on which a line went out and came back."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as sock,
    ):
        sock.sendall(b"hello")
        assert sock.recv(100) == b"hello"
        return {
            "session": sock.session,
            "reused": sock.session_reused,
            "alpn": sock.selected_alpn_protocol(),
            "cipher": sock.cipher()[0],
            "subject": dict(pair for (pair,) in (sock.getpeercert() or {}).get("subject", ())),
        }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("default.test", "default"),
        ("www.example.test", "exact"),
        ("mail.example.test", "wildcard"),
        ("shop.example.test", "wildcard"),
    ],
)
def test_every_name_is_verified(site, context, key, name, shown):
    seen = visit(context, site.ports[f"names {key}"], name)
    assert seen["subject"]["commonName"] == f"{shown} {key}"


@pytest.mark.parametrize("name", ["nobody.test", "a.b.example.test", "example.test", "127.0.0.1"])
def test_a_name_that_is_not_ours_fails_in_the_client(site, context, key, name):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(Hostname|IP address) mismatch"):
        visit(context, site.ports[f"names {key}"], name)


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"])
def test_the_key_follows_what_the_client_can_do(site, cipher):
    made = ssl.create_default_context(cafile=site.trust)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(cipher)
    seen = visit(made, site.ports["tls_cipher_policy_1_2_strict"], "default.test")
    assert seen["cipher"] == cipher
    assert seen["subject"]["commonName"] == ("default RSA" if "RSA" in cipher.split("-") else "default P-256")


@pytest.mark.parametrize(
    ("listener", "offered", "agreed"),
    [
        ("http2", ["http/1.1", "h2"], "h2"),
        ("http2", ["http/1.1"], "http/1.1"),
        ("http1", ["h2", "http/1.1"], "http/1.1"),
        ("http1", ["h2"], None),
        ("names", ["h2"], None),
    ],
)
def test_alpn(site, context, key, listener, offered, agreed):
    context.set_alpn_protocols(offered)
    assert visit(context, site.ports[f"{listener} {key}"])["alpn"] == agreed


def test_strict_alpn(site, context, key):
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        visit(context, site.ports[f"http2only {key}"])


@pytest.mark.parametrize("who", ["alice", "alice with RSA"])
def test_a_client_with_a_certificate_is_served(site, context, key, who):
    paper = site.client(who)
    context.load_cert_chain(paper.certificate, paper.key)
    visit(context, site.ports[f"guarded {key}"])


@pytest.mark.parametrize(
    ("who", "alert"),
    [
        (None, "handshake failure|certificate required"),
        ("revoked", "certificate revoked"),
        ("stranger", "unknown ca"),
    ],
)
def test_other_clients_read_why_not(site, context, key, who, alert):
    if who:
        context.load_cert_chain(site.client(who).certificate, site.client(who).key)
    with pytest.raises(ssl.SSLError, match=alert):
        visit(context, site.ports[f"guarded {key}"])


@pytest.mark.parametrize("guarded", [False, True], ids=["anyone", "client-certificate"])
def test_sessions_resume_in_every_worker(site, context, key, guarded):
    paper = site.client("alice")
    context.load_cert_chain(paper.certificate, paper.key)
    port = site.ports[f"guarded {key}" if guarded else f"names {key}"]
    first, before = visit(context, port), site.resumed()
    assert not first["reused"]
    last = first
    for _ in range(ATTEMPTS):
        # A well-behaved client uses a ticket once, and the next one from the connection that it opened.
        last = visit(context, port, session=last["session"])
        assert last["reused"]
        if site.each_resumed_since(before):
            return
    raise AssertionError(f"not in every worker: {before}, {site.resumed()}")

"""Node's tls, where Node is installed: names, ALPN, staples, client certificates and resumption."""

import json
from pathlib import Path

import pytest
from support.estate import ask

SCRIPT = Path(__file__).parent / "node_client.cjs"
MANY = 40  # visits, each taken by either of two workers


@pytest.fixture
def visits(node, site, version):
    """visits(listener, ...) is what the client saw each time."""

    def run(listener, name="www.example.test", who=None, number=1, **wishes):
        wishes |= {"port": site.ports[listener], "name": name, "version": version, "trust": str(site.trust)}
        if who:
            wishes |= {"certificate": str(site.client(who).certificate), "key": str(site.client(who).key)}
        done = ask([node, SCRIPT, json.dumps({**wishes, "visits": number})], 60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize(
    ("name", "shown"),
    [("default.test", "default"), ("www.example.test", "exact"), ("mail.example.test", "wildcard")],
)
def test_the_name_chooses_the_certificate(visits, version, key, name, shown):
    (seen,) = visits(f"names {key}", name, status=True)
    assert (seen["error"], seen["peer"], seen["version"]) == ("", f"{shown} {key}", version)
    assert (seen["staple"] > 0) is (shown == "default")


def test_a_name_that_is_not_ours_fails_in_the_client(visits, key):
    assert "ERR_TLS_CERT_ALTNAME_INVALID" in visits(f"names {key}", "nobody.test")[0]["error"]


def test_strict_sni(visits, key):
    assert "unrecognized name" in visits(f"strict {key}", "nobody.test")[0]["error"]


@pytest.mark.parametrize(
    ("listener", "offered", "agreed"),
    [("http2", ["http/1.1", "h2"], "h2"), ("http1", ["h2", "http/1.1"], "http/1.1"), ("names", ["h2"], "")],
)
def test_alpn(visits, key, listener, offered, agreed):
    (seen,) = visits(f"{listener} {key}", alpn=offered)
    assert (seen["error"], seen["protocol"]) == ("", agreed)


def test_strict_alpn(visits, key):
    assert "no application protocol" in visits(f"http2only {key}", alpn=["http/1.1"])[0]["error"]


@pytest.mark.parametrize(
    ("who", "alerts"),
    [
        ("alice", None),
        ("alice with RSA", None),
        (None, ["HANDSHAKE_FAILURE", "CERTIFICATE_REQUIRED"]),
        ("revoked", ["CERTIFICATE_REVOKED"]),
        ("stranger", ["UNKNOWN_CA"]),
    ],
)
def test_client_certificates(visits, key, who, alerts):
    (seen,) = visits(f"guarded {key}", who=who)
    if alerts is None:
        assert seen["error"] == ""
    else:
        assert any(each in seen["error"] for each in alerts), seen


@pytest.mark.parametrize("listener", ["names", "guarded"])
def test_sessions_resume_in_every_worker(site, visits, key, listener):
    before = site.resumed()
    first, *others = visits(f"{listener} {key}", who="alice", number=MANY)
    assert (first["error"], first["resumed"]) == ("", False)
    assert [(seen["error"], seen["resumed"]) for seen in others] == [("", True)] * (MANY - 1)
    assert site.each_resumed_since(before), "one worker had nothing to do"

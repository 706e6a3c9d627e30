"""Go's crypto/tls, where Go is installed: names, ALPN, staples, client certificates, resumption, hybrid groups."""

import json
import os
from pathlib import Path

import pytest
from support.estate import ask

SOURCE = Path(__file__).parent / "go_client"
MANY = 40  # visits, each taken by either of two workers


@pytest.fixture(scope="session")
def program(go, tmp_path_factory):
    """Built once, without a network and outside the tree."""
    folder = tmp_path_factory.mktemp("go")
    env = {"GOFLAGS": "-mod=mod", "GOCACHE": str(folder / "cache"), "GOPATH": str(folder / "path")}
    env |= {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOWORK": "off", "CGO_ENABLED": "0", "GOTELEMETRY": "off"}
    words = [go, "build", "-buildvcs=false", "-o", folder / "client", "."]
    done = ask(words, 280, cwd=SOURCE, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    return folder / "client"


@pytest.fixture
def visits(program, site, version):
    """visits(listener, ...) is what the client saw each time."""

    def run(listener, *options, name="www.example.test", who=None, number=1):
        words = [program, "-address", f"127.0.0.1:{site.ports[listener]}", "-trust", site.trust]
        words += ["-name", name, "-version", version, "-visits", str(number), *options]
        if who:
            words += ["-certificate", site.client(who).certificate, "-key", site.client(who).key]
        # A module for an older Go is given the groups of an older Go, unless it asks for more.
        done = ask(words, 60, env={**os.environ, "GODEBUG": "tlsmlkem=1"})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


pytestmark = pytest.mark.timeout(300)  # the first test that runs builds the program


@pytest.mark.parametrize(
    ("name", "shown"),
    [("default.test", "default"), ("www.example.test", "exact"), ("mail.example.test", "wildcard")],
)
def test_the_name_chooses_the_certificate(visits, version, key, name, shown):
    (seen,) = visits(f"names {key}", name=name)
    assert (seen["error"], seen["peer"], seen["version"]) == ("", f"{shown} {key}", version)
    assert (seen["staple"] > 0) is (shown == "default")


def test_strict_sni(visits, key):
    assert "unrecognized name" in visits(f"strict {key}", name="nobody.test")[0]["error"]


@pytest.mark.parametrize(
    ("listener", "offered", "agreed"),
    [
        ("http2", "http/1.1,h2", "h2"),
        ("http1", "h2,http/1.1", "http/1.1"),
        ("names", "h2", ""),
        ("http2only", "", ""),
    ],
)
def test_alpn(visits, key, listener, offered, agreed):
    (seen,) = visits(f"{listener} {key}", "-alpn", offered)
    assert (seen["error"], seen["protocol"]) == ("", agreed)


def test_strict_alpn(visits, key):
    assert "no application protocol" in visits(f"http2only {key}", "-alpn", "http/1.1")[0]["error"]


@pytest.mark.parametrize(
    ("who", "reasons"),
    [
        ("alice", [""]),
        ("alice with RSA", [""]),
        (None, ["handshake failure", "certificate required"]),
        ("revoked", ["revoked certificate"]),
        ("stranger", ["unknown certificate authority"]),
    ],
)
def test_client_certificates(visits, key, who, reasons):
    (seen,) = visits(f"guarded {key}", who=who)
    assert any(seen["error"].endswith(reason) if reason else not seen["error"] for reason in reasons), seen


@pytest.mark.parametrize("listener", ["names", "guarded"])
def test_sessions_resume_in_every_worker(site, visits, key, listener):
    before = site.resumed()
    first, *others = visits(f"{listener} {key}", who="alice", number=MANY)
    assert (first["error"], first["resumed"]) == ("", False)
    assert [(seen["error"], seen["resumed"]) for seen in others] == [("", True)] * (MANY - 1)
    assert site.each_resumed_since(before), "one worker had nothing to do"


@pytest.mark.parametrize("version", ["TLSv1.3"])
def test_the_hybrid_group(visits, key):
    (seen,) = visits(f"names {key}", "-hybrid")
    if "curve" in seen["error"].lower():  # said by the client, before it sends anything
        pytest.skip("this Go has no X25519MLKEM768")
    assert seen["error"] == ""
    assert seen["group"] in ("X25519MLKEM768", "")  # before Go 1.25 it does not say


@pytest.mark.parametrize("version", ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize(
    ("policy", "oldest"),
    [
        ("tls_cipher_policy_1_0", "TLSv1.0"),
        ("tls_cipher_policy_1_1", "TLSv1.1"),
        ("tls_cipher_policy_1_2", "TLSv1.2"),
    ],
)
def test_a_policy_serves_its_versions(visits, version, policy, oldest):
    (seen,) = visits(policy, name="default.test")
    if oldest <= version <= "TLSv1.2":
        assert (seen["error"], seen["version"]) == ("", version)
    else:
        assert "protocol version" in seen["error"]

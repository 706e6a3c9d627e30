"""curl with nghttp2: HTTP/2 and HTTP/1.1 as ALPN agreed on them, down to the origin; client certificates; staples."""

import json

import pytest
from support.estate import ask

VERSIONS = {"TLSv1.2": ("--tls-max", "1.2"), "TLSv1.3": ("--tlsv1.3",)}
VERIFY_FAILED, STATUS_FAILED = 60, 91


@pytest.fixture
def curl(site, version):
    """curl(listener, *options): its exit code, and what `--write-out` and the body say."""

    def run(listener, *options, name="www.example.test"):
        port = site.ports[listener]
        words = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "15", "--cacert", site.trust]
        words += ["--resolve", f"{name}:{port}:127.0.0.1", "--write-out", "\n%{json}", *VERSIONS[version], *options]
        done = ask([*words, f"https://{name}:{port}/"])
        body, _, told = done.stdout.rpartition("\n")
        return done.returncode, body, json.loads(told)["http_version"], done.stderr

    return run


@pytest.mark.parametrize(
    ("listener", "wish", "spoken", "body"),
    [
        ("http2", "--http2", "2", "HTTP/2"),
        ("http2", "--http1.1", "1.1", "HTTP/1.1"),
        ("http2", "--http1.0", "1.1", "HTTP/1.0"),
        ("http1", "--http2", "1.1", "HTTP/1.1"),
        ("names", "--http2", "1.1", "HTTP/1.1"),
        ("http2only", "--http2", "2", "HTTP/2"),
    ],
)
def test_the_origin_hears_what_the_client_speaks(curl, key, listener, wish, spoken, body):
    assert curl(f"{listener} {key}", wish) == (0, body, spoken, "")


def test_http_2_with_an_origin_by_node(curl, site, node):
    code, body, spoken, _ = curl("http2only node", "--http2", name="default.test")
    assert (code, body, spoken) == (0, "HTTP/2.0 /", "2")


def test_strict_alpn_refuses_http_1(curl, key):
    code, body, _, error = curl(f"http2only {key}", "--http1.1")
    assert (code, body) == (35, "")
    assert "no application protocol" in error


def test_the_name_has_to_be_ours(curl, key):
    assert curl(f"names {key}", name="mail.example.test")[0] == 0
    assert curl(f"names {key}", name="nobody.test")[0] == VERIFY_FAILED


@pytest.mark.parametrize("who", ["alice", "alice with RSA"])
def test_a_client_with_a_certificate_is_served(curl, site, key, who):
    paper = site.client(who)
    assert curl(f"guarded {key}", "--cert", paper.certificate, "--key", paper.key)[:2] == (0, "HTTP/1.1")


@pytest.mark.parametrize(
    ("who", "reason"),
    [(None, "handshake failure|certificate required"), ("revoked", "revoked"), ("stranger", "unknown ca")],
)
def test_other_clients_are_not(curl, site, key, who, reason):
    options = ("--cert", site.client(who).certificate, "--key", site.client(who).key) if who else ()
    code, body, _, error = curl(f"guarded {key}", *options)
    assert code in (35, 56)  # TLS 1.2 says it in the handshake, TLS 1.3 on the first read
    assert body == ""
    assert any(each in error for each in reason.split("|")), error


def test_the_staple_satisfies_a_client_that_insists_on_it(curl, key):
    assert curl(f"names {key}", "--cert-status", name="default.test")[:2] == (0, "HTTP/1.1")
    code, _, _, error = curl(f"names {key}", "--cert-status", name="www.example.test")
    assert code == STATUS_FAILED, error

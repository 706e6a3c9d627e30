"""`openssl s_client` against the program: names, ALPN, staples, client certificates, old versions, renegotiation."""

import pytest
from support.policy_table import TABLE
from support.s_client import pinned, refused, served, talk

ALL_VERSIONS = ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


@pytest.fixture
def visit(site, tmp_path, version):
    """visit(listener, *options) is what s_client wrote when it was served."""
    return lambda listener, *options: served(tmp_path, site.ports[listener], *pinned(version), *options)


@pytest.fixture
def denied(site, tmp_path, version):
    return lambda listener, *options: refused(tmp_path, site.ports[listener], *pinned(version), *options)


def identity(paper):
    return ("-cert", paper.certificate, "-key", paper.key)


# Names


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("www.example.test", "exact"),
        ("WWW.EXAMPLE.TEST", "exact"),
        ("mail.example.test", "wildcard"),
        ("a.b.example.test", "default"),
        ("default.test", "default"),
        (None, "default"),
    ],
)
def test_the_name_chooses_the_certificate(site, visit, key, asked, shown):
    name = ("-servername", asked) if asked else ("-noservername",)
    text = visit(f"names {key}", *name, "-CAfile", site.trust, "-verify_return_error")
    assert f"\n 0 s:CN = {shown} {key}\n   i:CN = issuing {key}\n" in text
    assert f"\n 1 s:CN = issuing {key}\n   i:CN = root {key}\n" in text
    assert "Verify return code: 0 (ok)" in text


@pytest.mark.parametrize("name", [("-servername", "nobody.test"), ("-noservername",)])
def test_strict_sni_sends_unrecognized_name(visit, denied, key, name):
    assert "tlsv1 unrecognized name" in denied(f"strict {key}", *name)
    assert f"CN = wildcard {key}" in visit(f"strict {key}", "-servername", "mail.example.test")


# ALPN


@pytest.mark.parametrize(
    ("listener", "offered", "agreed"),
    [
        ("http2", "http/1.1,h2", "ALPN protocol: h2"),
        ("http2", "http/1.0,http/1.1", "ALPN protocol: http/1.1"),
        ("http1", "h2,http/1.0", "ALPN protocol: http/1.0"),
        ("http1", "h2", "No ALPN negotiated"),
        ("names", "h2,http/1.1", "No ALPN negotiated"),
        ("http2only", "", "No ALPN negotiated"),
    ],
)
def test_the_protocol_that_is_agreed_on(visit, key, listener, offered, agreed):
    assert f"\n{agreed}\n" in visit(f"{listener} {key}", *(("-alpn", offered) if offered else ()))


def test_strict_alpn_refuses_who_has_nothing_in_common(denied, key):
    assert "alert no application protocol" in denied(f"http2only {key}", "-alpn", "http/1.1")


# Staples


def test_the_staple_is_sent_with_its_certificate_and_no_other(visit, key):
    text = visit(f"names {key}", "-servername", "default.test", "-status")
    assert "OCSP Response Status: successful (0x0)" in text
    assert "Cert Status: good" in text
    assert "OCSP response: no response sent" in visit(f"names {key}", "-servername", "www.example.test", "-status")


# Client certificates


@pytest.mark.parametrize("who", ["alice", "alice with RSA"])
def test_a_client_with_a_good_certificate_is_served(site, visit, key, who):
    text = visit(f"guarded {key}", *identity(site.client(who)))
    assert "Acceptable client certificate CA names\nCN = staff\nCN = partners\n" in text


@pytest.mark.parametrize(
    ("who", "alert"),
    [
        (None, {"TLSv1.2": "handshake failure:.*SSL alert number 40", "TLSv1.3": "SSL alert number 116"}),
        ("revoked", "certificate revoked:.*SSL alert number 44"),
        ("stranger", "unknown ca:.*SSL alert number 48"),
    ],
)
def test_other_clients_are_sent_away_with_an_alert(site, tmp_path, version, key, who, alert):
    options = identity(site.client(who)) if who else ()
    with talk(tmp_path, site.ports[f"guarded {key}"], *pinned(version), *options) as one:
        one.wait(alert if isinstance(alert, str) else alert[version])


def test_where_it_is_optional_only_a_wrong_one_is_refused(site, visit, denied, key):
    visit(f"optional {key}")
    visit(f"optional {key}", *identity(site.client("alice")))
    assert "SSL alert number 48" in denied(f"optional {key}", *identity(site.client("stranger")))


# Versions


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
@pytest.mark.parametrize("old", ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("policy", TABLE)
def test_a_policy_serves_its_versions_and_refuses_the_others(site, tmp_path, policy, old, kind):
    options = list(pinned(old))
    if old == "TLSv1.3":
        options += ["-sigalgs", "rsa_pss_rsae_sha256" if kind == "RSA" else "ecdsa_secp256r1_sha256"]
    else:
        options = [options[0], "-cipher", f"ECDHE-{kind}-AES128-SHA@SECLEVEL=0"]
    if old in TABLE[policy]:
        text = served(tmp_path, site.ports[policy], *options, "-servername", "default.test")
        assert f"0 s:CN = default {'RSA' if kind == 'RSA' else 'P-256'}\n" in text
        assert "Compression: NONE" in text
    else:
        assert "SSL alert number 70" in refused(tmp_path, site.ports[policy], *options)


# Renegotiation and compression


@pytest.mark.parametrize("old", ["TLSv1.0", "TLSv1.1", "TLSv1.2"])
def test_renegotiation_is_secure_and_refused(site, tmp_path, old):
    with talk(tmp_path, site.ports["tls_cipher_policy_1_0"], *pinned(old)) as one:
        one.wait("^Secure Renegotiation IS supported$")
        one.wait("^Compression: NONE$")
        one.wait("^    Verify return code")
        one.say("R")
        one.wait("^RENEGOTIATING$")
        one.wait("no renegotiation")

"""The TLS settings of listeners, certificates and authorities: each refusal by name, at its line and column."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest
from support.shelf import Shelf, authority, pair

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import Loaded, load
from fastnlb.model import CaCertificate
from fastnlb.tls.material import MaterialError

BASE = """\
version: 1
certificates:
  - {name: www, certificate: ec.pem}
  - {name: old, certificate: rsa.pem}
  - {name: ed, certificate: ed.pem}
  - {name: twin, certificate: twin.pem}
ca_certificates:
  - {name: staff, certificate: ca.pem}
server_groups:
  - {name: web, servers: [{address: 127.0.0.1, port: 8080}]}
listeners:
  - name: https
    protocol: TCPSSL
    port: 443
    server_group: web
    certificate: www
"""
PLAIN = BASE.replace("TCPSSL", "TCP").replace("    certificate: www\n", "")


def own_policy(versions: str, ciphers: str) -> str:
    return f"security_policies:\n  - {{name: mine, tls_versions: [{versions}], ciphers: [{ciphers}]}}\n"


RSA_ONLY = own_policy("TLSv1.2", "ECDHE-RSA-AES128-SHA, AES128-SHA")
EC_ONLY = own_policy("TLSv1.1, TLSv1.2", "ECDHE-ECDSA-AES128-SHA")
MIXED = own_policy("TLSv1.2, TLSv1.3", "AES128-SHA, TLS_AES_128_GCM_SHA256")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf(
        ec=pair("ec", "ECDSA"),
        rsa=pair("rsa", "RSA"),
        ed=pair("ed", "Ed25519", ("ed.test",)),
        twin=pair("twin", "ECDSA", ("b.test", "a.test")),
        ca=authority("ca"),
    )
    monkeypatch.setattr("fastnlb.config.load.MaterialCache", lambda: shelf)
    return shelf


@pytest.fixture
def path(tmp_path: Path, shelf: Shelf) -> Path:
    return tmp_path / "f"


def outcome(path: Path, text: str) -> list[str]:
    """Every problem, as `check` prints it."""
    path.write_text(text)
    try:
        problems = load(path).warnings
    except ConfigError as refused:
        problems = refused.problems
    return [problem.render("f") for problem in problems]


def good(path: Path, text: str) -> Loaded:
    path.write_text(text)
    loaded = load(path)
    assert loaded.warnings == ()
    return loaded


def listener(*lines: str) -> str:
    return indent("".join(line + "\n" for line in lines), "    ")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("certificate: www", "certificate"),
        ("additional_certificates: [www]", "additional_certificates"),
        ("strict_sni: true", "strict_sni"),
        ("ca_certificate: staff", "ca_certificate"),
        ("client_certificate: required", "client_certificate"),
        ("alpn_policy: HTTP2Only", "alpn_policy"),
        ("alpn_strict: true", "alpn_strict"),
        ("security_policy: tls_cipher_policy_1_2", "security_policy"),
    ],
)
def test_a_plain_listener_has_none_of_the_settings_of_tls(path: Path, line: str, key: str) -> None:
    assert outcome(path, PLAIN + listener(line)) == [
        f"f:16:5: listeners[0].{key}: a TCP listener has no TLS: remove {key}, or set protocol to TCPSSL"
    ]


def test_a_plain_listener_may_write_the_defaults_out(path: Path) -> None:
    good(path, PLAIN + listener("strict_sni: false", "alpn_strict: false", "additional_certificates: []"))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["client_certificate: optional"],
            "f:17:5: listeners[0].client_certificate: client_certificate goes with ca_certificate, which says who "
            "may sign them: add it, or remove this",
        ),
        (
            ["client_certificate: required"],
            "f:17:5: listeners[0].client_certificate: client_certificate goes with ca_certificate, which says who "
            "may sign them: add it, or remove this",
        ),
        (
            ["ca_certificate: staff", "client_certificate: sometimes"],
            "f:18:25: listeners[0].client_certificate: client_certificate takes required or optional, not the text "
            '"sometimes"',
        ),
        (
            ["ca_certificate: stuff"],
            'f:17:21: listeners[0].ca_certificate: there is no CA certificate "stuff"; did you mean "staff"? '
            "[ResourceNotFound.CaCertificate]",
        ),
        (
            ["alpn_strict: true"],
            "f:17:5: listeners[0].alpn_strict: alpn_strict goes with alpn_policy, which has the protocols: add it, "
            "or remove this",
        ),
        (
            ["alpn_strict: yes", "alpn_policy: HTTP2Only"],
            'f:17:18: listeners[0].alpn_strict: alpn_strict takes true or false, not the text "yes"',
        ),
        (
            ["alpn_strict: true", "alpn_policy: HTTP2"],
            "f:18:18: listeners[0].alpn_policy: alpn_policy takes HTTP1Only, HTTP2Only, HTTP2Optional or "
            'HTTP2Preferred, not the text "HTTP2"; did you mean "HTTP2Only"?',
        ),
        (["strict_sni: 1"], "f:17:17: listeners[0].strict_sni: strict_sni takes true or false, not 1"),
        (
            ["additional_certificates: [old, wwww]"],
            'f:17:36: listeners[0].additional_certificates[1]: there is no certificate "wwww"; did you mean "www"? '
            "[ResourceNotFound.Certificate]",
        ),
        (
            ["additional_certificates: [old, www]"],
            'f:17:36: listeners[0].additional_certificates[1]: "www" is the listener\'s certificate already: remove '
            "it here [ResourceAlreadyAssociated.Certificate]",
        ),
        (
            ["additional_certificates: [old, ed, old]"],
            'f:17:40: listeners[0].additional_certificates[2]: "old" is in the list already (line 17): name it once '
            "[ResourceAlreadyAssociated.Certificate]",
        ),
    ],
)
def test_a_refused_listener_setting(path: Path, lines: list[str], problem: str) -> None:
    assert outcome(path, BASE + listener(*lines)) == [problem]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "certificate: ca.pem",
            "certificate: ca.pem, verify_depth: 11",
            "f:8:54: ca_certificates[0].verify_depth: 11 is out of range: verify_depth takes 0 to 10 intermediate "
            "certificates",
        ),
        (
            "certificate: ca.pem",
            "certificate: ca.pem, verify_depth: -1",
            "f:8:54: ca_certificates[0].verify_depth: -1 is out of range: verify_depth takes 0 to 10 intermediate "
            "certificates",
        ),
        (
            ", certificate: ca.pem",
            "",
            'f:8:5: ca_certificates[0]: missing key "certificate": a PEM file with one or more CA certificates',
        ),
        (
            "certificate: ca.pem",
            "certificate: ca.pem, crl: []",
            "f:8:45: ca_certificates[0].crl: crl takes the path of a file, not a list",
        ),
        ("version: 1", "version: 1\nwatch: on", 'f:2:8: watch: watch takes true or false, not the text "on"'),
        ("version: 1", "version: 1\ncore_dumps: 1", "f:2:13: core_dumps: core_dumps takes true or false, not 1"),
        (
            "certificate: ec.pem",
            "certificate: ec.pem, private_key_passphrase_file: 7",
            "f:3:67: certificates[0].private_key_passphrase_file: private_key_passphrase_file takes the path of a "
            "file, not 7; put it in quotes",
        ),
        (
            "certificate: ec.pem",
            'certificate: ec.pem, ocsp_response: ""',
            'f:3:53: certificates[0].ocsp_response: ocsp_response takes the path of a file, not the text ""',
        ),
    ],
)
def test_a_refused_setting_elsewhere(path: Path, old: str, new: str, problem: str) -> None:
    assert outcome(path, BASE.replace(old, new, 1)) == [problem]


@pytest.mark.parametrize(
    ("part", "given", "place"),
    [
        ("certificate", "", "f:3:30: certificates[0].certificate"),
        ("private_key", "", "f:3:30: certificates[0].certificate"),
        ("private_key", ", private_key: ec.key", "f:3:51: certificates[0].private_key"),
        ("private_key_passphrase_file", "", "f:3:30: certificates[0].certificate"),
        (
            "private_key_passphrase_file",
            ", private_key_passphrase_file: p",
            "f:3:67: certificates[0].private_key_passphrase_file",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_where_it_is(
    path: Path, shelf: Shelf, part: str, given: str, place: str
) -> None:
    shelf.held["ec"] = MaterialError("it is broken", part)
    text = BASE.replace("certificate: ec.pem", "certificate: ec.pem" + given)
    assert outcome(path, text) == [f"{place}: it is broken"]


@pytest.mark.parametrize(
    ("part", "given", "place"),
    [
        ("certificate", "", "f:8:32: ca_certificates[0].certificate"),
        ("crl", ", crl: ca.crl", "f:8:45: ca_certificates[0].crl"),
    ],
)
def test_authorities_that_cannot_be_used_are_refused_also_when_no_listener_asks_for_them(
    path: Path, shelf: Shelf, part: str, given: str, place: str
) -> None:
    shelf.held["ca"] = MaterialError("it is broken", part)
    assert outcome(path, BASE.replace("ca.pem", "ca.pem" + given)) == [f"{place}: it is broken"]


def test_everything_reaches_the_snapshot(path: Path) -> None:
    text = BASE.replace("certificate: ca.pem", "certificate: ca.pem, verify_depth: 0")
    text = text.replace("server_groups", "  - {name: idle, certificate: ca.pem}\nserver_groups", 1)
    snapshot = good(
        path,
        text
        + listener(
            "additional_certificates: [old, ed]",
            "ca_certificate: staff",
            "client_certificate: optional",
        ),
    ).snapshot
    (made,) = snapshot.listeners
    assert made.additional_certificates == ("old", "ed")
    assert (made.ca_certificate, made.client_certificate) == ("staff", "optional")
    assert snapshot.ca_certificates == (CaCertificate("staff", b"ca", b"", 0),)
    assert [each.name for each in snapshot.certificates] == ["www", "old", "ed", "twin"]


def test_client_certificates_are_required_unless_told_otherwise(path: Path) -> None:
    (made,) = good(path, BASE + listener("ca_certificate: staff")).snapshot.listeners
    assert made.client_certificate == "required"


def test_the_files_are_asked_for_by_their_place_beside_the_configuration(path: Path, shelf: Shelf) -> None:
    keys = "certificate: ec.pem, private_key: k/ec.key, private_key_passphrase_file: /p"
    text = BASE.replace("certificate: ec.pem", keys).replace("ca.pem", "ca.pem, crl: ca.crl")
    good(path, text)
    folder = path.parent
    assert (folder / "ec.pem", folder / "k/ec.key", Path("/p")) in shelf.asked
    assert (folder / "ca.pem", folder / "ca.crl") in shelf.asked
    assert shelf.rounds == ["begin", "end"]


@pytest.mark.parametrize(
    ("policy", "certificate", "held", "needs"),
    [
        (RSA_ONLY, "www", "ECDSA", "an ECDHE-ECDSA-* cipher"),
        (RSA_ONLY, "ed", "Ed25519", "an ECDHE-ECDSA-* cipher and TLSv1.2"),
        (EC_ONLY, "old", "RSA", "an ECDHE-RSA-* cipher"),
    ],
)
def test_a_key_that_no_cipher_works_with_is_refused(
    path: Path, policy: str, certificate: str, held: str, needs: str
) -> None:
    text = (
        BASE.replace("certificate: www", f"certificate: {certificate}") + listener("security_policy: mine") + policy
    )
    assert outcome(path, text) == [
        f'f:16:18: listeners[0].certificate: the key of "{certificate}" is {held}, and no cipher of mine works with '
        f"it: the policy needs {needs}, or TLSv1.3, or the listener another certificate"
    ]


def test_a_cipher_that_the_library_lacks_does_not_save_a_key(path: Path) -> None:
    own = own_policy("TLSv1.2", "DES-CBC3-SHA, ECDHE-ECDSA-AES128-SHA")
    text = BASE.replace("certificate: www", "certificate: old") + listener("security_policy: mine") + own
    assert len(outcome(path, text)) == 1
    assert 'the key of "old" is RSA' in outcome(path, text)[0]


@pytest.mark.parametrize(
    ("policy", "certificate", "warning"),
    [
        (
            EC_ONLY,
            "ed",
            'f:16:18: listeners[0].certificate: warning: the key of "ed" is Ed25519, and mine has no cipher for it '
            "in TLSv1.1: clients of that version will be refused",
        ),
        (
            MIXED,
            "www",
            'f:16:18: listeners[0].certificate: warning: the key of "www" is ECDSA, and mine has no cipher for it in '
            "TLSv1.2: clients of that version will be refused",
        ),
        (MIXED, "old", None),
        (EC_ONLY, "www", None),
    ],
)
def test_a_key_that_serves_some_versions_only_is_a_warning(
    path: Path, policy: str, certificate: str, warning: str | None
) -> None:
    text = (
        BASE.replace("certificate: www", f"certificate: {certificate}") + listener("security_policy: mine") + policy
    )
    assert outcome(path, text) == ([warning] if warning else [])


def test_a_certificate_of_another_type_for_the_same_names_makes_up_for_it(path: Path) -> None:
    text = BASE + listener("security_policy: mine", "additional_certificates: [old]") + MIXED
    assert outcome(path, text) == []


def test_an_additional_certificate_that_is_never_served_is_a_warning(path: Path) -> None:
    lines = ["security_policy: mine", "additional_certificates: [ed]"]
    text = BASE.replace("certificate: www", "certificate: old") + listener(*lines) + RSA_ONLY
    assert outcome(path, text) == [
        'f:18:31: listeners[0].additional_certificates[0]: warning: the key of "ed" is Ed25519, and mine has no '
        "cipher for it in TLSv1.2: clients of that version will be refused"
    ]


def test_two_certificates_of_one_type_for_one_name_are_a_warning(path: Path) -> None:
    text = BASE + listener("additional_certificates: [old, twin]")
    assert outcome(path, text) == [
        'f:17:36: listeners[0].additional_certificates[1]: warning: "www" and "twin" are both ECDSA certificates for '
        'a.test: the first listed, "www", wins'
    ]


def test_many_shared_names_are_not_all_told(path: Path, shelf: Shelf) -> None:
    many = tuple(f"{letter}.test" for letter in "abcdef")
    shelf.held |= {"ec": pair("ec", names=many), "twin": pair("twin", names=many)}
    (line,) = outcome(path, BASE + listener("additional_certificates: [twin]"))
    assert "certificates for a.test, b.test, c.test, ...: the first" in line

"""Host names: the form they are compared in, and which names of a certificate are of use."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st
from support.certs import Issued

from fastnlb.tls.names import host_names, normalise

ROOT = Issued.root()
NO_NAME = "the certificate has no usable host name: it can only be a default certificate"
# What normalise must agree with: written down as a grammar, where normalise takes names apart.
LABEL = r"[!-)+\-/-~]{1,63}"
NAME = re.compile(rf"(?:\*\.)?{LABEL}(?:\.{LABEL})*")


def model(name: str) -> str | None:
    bare = name[:-1] if name.endswith(".") else name
    if len(bare) > 253 or not NAME.fullmatch(bare):
        return None
    return "".join(chr(ord(each) + 32) if "A" <= each <= "Z" else each for each in bare)


LABELS = st.text("aB9-_*", max_size=4) | st.sampled_from(["*", "", "x" * 63, "x" * 64, "\u00fc", "\u212a", "\0", " "])
NAMES = st.lists(LABELS, max_size=7).map(".".join) | st.text(max_size=10)


@given(NAMES)
@example("x" * 63 + ("." + "y" * 63) * 2 + "." + "z" * 61)
@example("x" * 63 + ("." + "y" * 63) * 2 + "." + "z" * 61 + ".")
@example("x" * 63 + ("." + "y" * 63) * 2 + "." + "z" * 62)
def test_a_name_is_normalised_as_the_model_says(name: str) -> None:
    assert normalise(name) == model(name)


@given(NAMES)
def test_a_normalised_name_is_normal(name: str) -> None:
    plain = normalise(name)
    assert plain is None or normalise(plain) == normalise(plain + ".") == normalise(plain.upper()) == plain


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("WWW.Example.COM", "www.example.com"),
        ("www.example.com.", "www.example.com"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("*.Example.com", "*.example.com"),
        ("*.com", "*.com"),
        ("www.example.com..", None),
        (".example.com", None),
        ("", None),
        (".", None),
        ("*", None),
        ("*.", None),
        ("f*.example.com", None),
        ("a.*.example.com", None),
        ("*.*.example.com", None),
        ("b\u00fccher.example", None),
        ("\u212aelvin.example", None),  # the Kelvin sign, which becomes an ASCII k in lower case
        ("www.example.com\0.evil.example", None),
        ("www example.com", None),
        ("www.example.com\n", None),
    ],
)
def test_normalise(name: str, plain: str | None) -> None:
    assert normalise(name) == plain


def names_of(*names: str, common_name: str | None = None) -> tuple[Sequence[str], Sequence[str]]:
    return host_names(ROOT.issue(*names, common_name=common_name).certificate)


def test_the_names_are_those_of_subject_alt_name_each_once() -> None:
    names, warnings = names_of("WWW.example.com", "www.example.com.", "*.example.com", "www.example.com")
    assert (names, warnings) == (("www.example.com", "*.example.com"), ())


def test_the_common_name_counts_only_without_subject_alt_name() -> None:
    assert names_of(common_name="old.example.com") == (("old.example.com",), ())
    assert names_of("new.example.com", common_name="old.example.com") == (("new.example.com",), ())
    assert names_of("192.0.2.1", common_name="old.example.com") == ((), (NO_NAME,))


def test_addresses_are_passed_over() -> None:
    assert names_of("192.0.2.1", "2001:db8::1", "www.example.com") == (("www.example.com",), ())


@pytest.mark.parametrize("common_name", ["", "Example Corporation"])
def test_a_certificate_without_a_name_can_be_a_default_only(common_name: str) -> None:
    names, warnings = names_of(common_name=common_name)
    assert (names, warnings[-1]) == ((), NO_NAME)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("*", "a wildcard has to be *. and at least one label"),
        ("f*.example.com", "a wildcard has to be *. and at least one label"),
        ("a.*.example.com", "a wildcard has to be *. and at least one label"),
        ("www..example.com", "it has an empty label"),
        ("x" * 64 + ".example.com", "it has a label over 63 characters"),
        ("x." * 127 + "com", "it is over 253 characters"),
        ("www.example.com\0.evil.example", "it has a space or a control character"),
        ("my host.example", "it has a space or a control character"),
    ],
)
def test_a_name_of_no_use_is_ignored_and_named(name: str, fault: str) -> None:
    names, warnings = names_of(name, "www.example.com")
    assert names == ("www.example.com",)
    assert warnings == (f"the host name {name!a} is ignored: {fault}",)
    assert "\0" not in warnings[0]


def test_a_common_name_that_is_not_ascii_is_told_to_be_an_a_label() -> None:
    names, warnings = names_of(common_name="b\u00fccher.example")
    assert names == ()
    assert warnings[0] == r"the host name 'b\xfccher.example' is ignored: it is not ASCII: write its A-label"


def test_a_subject_alt_name_that_is_not_ascii_hides_the_others() -> None:
    """cryptography decodes all of the extension or nothing of it."""
    der = ROOT.issue("bucher.example", "www.example.com").certificate.public_bytes(Encoding.DER)
    at = der.rindex(b"bucher.example")
    leaf = x509.load_der_x509_certificate(der[:at] + b"b\xfccher.example" + der[at + 14 :])
    names, warnings = host_names(leaf)
    assert names == ()
    assert warnings == (
        "the extensions cannot be decoded: a name in subjectAltName that is no ASCII needs its A-label",
        NO_NAME,
    )

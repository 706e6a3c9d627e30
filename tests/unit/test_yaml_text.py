"""YAML that is written here is read as the same data."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnlb.config.document import parse
from fastnlb.config.yaml_text import yaml_text

PRINTABLE = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufeff\u2028\u2029")
    | st.sampled_from("\n \t")
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=12,
)
ODD = [
    "",
    "~",
    "null",
    "true",
    "on",
    "yes",
    "010",
    "0o17",
    "0x1f",
    "1e5",
    ".inf",
    "22:30",
    "2026-01-01",
    "9" * 200,
    "- a",
]


@settings(deadline=None)
@given(PLAIN, st.booleans())
def test_what_is_written_is_read_again(data: object, ascii_only: bool) -> None:
    text = yaml_text(data, ascii_only=ascii_only)
    assert parse(text.encode()).data == data
    assert not ascii_only or text.isascii()


@pytest.mark.parametrize("text", ODD)
def test_text_stays_text_for_us_and_for_others(text: str) -> None:
    written = yaml_text({"a": text, text: 1})
    assert parse(written.encode()).data == {"a": text, text: 1}
    assert yaml.safe_load(written) == {"a": text, text: 1}


def test_pem_is_a_block_that_a_person_can_read() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    assert yaml_text({"pem": pem}) == f"pem: |\n  {pem.strip().replace(chr(10), chr(10) + '  ')}\n"


def test_nothing_is_an_anchor() -> None:
    shared = ["a"]
    assert "&" not in yaml_text({"one": shared, "two": shared})

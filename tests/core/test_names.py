"""The name index against a plain model: exact, then wildcard, then nothing."""

import string

import pytest
from fastnlb._core._testing import NamesProbe
from hypothesis import given
from hypothesis import strategies as st

LABELS = st.text(string.ascii_lowercase + "-1", min_size=1, max_size=3)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.one_of(HOSTS, HOSTS.map(lambda host: f"*.{host}"))


def model(patterns, asked):
    """What a person reading RFC 6125 would answer."""
    name = asked.lower().removesuffix(".")
    if name in patterns:
        return patterns.index(name)
    first, dot, parent = name.partition(".")
    wildcard = f"*.{parent}"
    return patterns.index(wildcard) if first and dot and wildcard in patterns else None


@given(st.lists(PATTERNS, max_size=30), st.lists(HOSTS, max_size=10), st.booleans(), st.booleans())
def test_finds_what_the_model_finds(patterns, strangers, upper, dot):
    probe = NamesProbe([pattern.encode() for pattern in patterns])
    for host in [*strangers, *patterns, *(p.replace("*", "x") for p in patterns), *(f"x.{p}" for p in patterns)]:
        if host.startswith("*"):
            continue
        asked = (host.upper() if upper else host) + ("." if dot else "")
        assert probe.find(asked.encode()) == model(patterns, asked), asked


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b".",
        b"..",
        b".example.com",
        b"example.com",
        b"a.b.example.com",
        b"aexample.com",
        b"www.example.co",
        b"www.example.com..",
        b"www.example.com.evil.test",
        b"x" * 254,
        b"x" * 5000,
        "wéb.example.org".encode(),
        b"\xff\xfe",
    ],
)
def test_what_is_no_name_of_ours_is_not_found(asked):
    assert NamesProbe([b"www.example.com", b"*.example.com"]).find(asked) is None


def test_the_longest_name_is_found_and_a_longer_one_cannot_be_stored():
    longest = b".".join([b"x" * 63] * 3 + [b"y" * 61])
    assert len(longest) == 253
    assert NamesProbe([longest]).find(longest + b".") == 0
    with pytest.raises(ValueError, match="x"):
        NamesProbe([longest + b"z"])


def test_of_two_equal_names_the_first_counts():
    assert NamesProbe([b"a.test", b"b.test", b"a.test"]).find(b"a.test") == 0


def test_an_index_without_names_finds_nothing():
    assert NamesProbe([]).find(b"a.test") is None


def test_ten_thousand_names_are_all_found():
    names = [f"h{number}.example.com".encode() for number in range(10_000)]
    probe = NamesProbe(names)
    assert [probe.find(name) for name in names] == list(range(10_000))
    assert probe.find(b"h10000.example.com") is None

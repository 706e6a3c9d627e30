"""The YAML reader: what a text means, where each part of it stands, and what is refused."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnlb.config import document
from fastnlb.config.document import examine, parse
from fastnlb.config.errors import ConfigError, Problem

KEYS = st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON_LIKE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


def refusal(text: str | bytes) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode() if isinstance(text, str) else text)
    return caught.value.problems[0]


def as_yaml(data: object) -> bytes:
    """JSON is YAML once everything that is not plain ASCII is escaped in YAML's way."""
    text = json.dumps(data, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", text).encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-17", -17),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("on", "on"),
        ("No", "No"),
        ("yes", "yes"),
        ("22:30", "22:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("127.0.0.1", "127.0.0.1"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("!!int 12", 12),
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(written: str, meant: object) -> None:
    value = parse(f"- {written}".encode()).data
    assert value == [meant]
    assert isinstance(value, list)
    assert type(value[0]) is type(meant)


def test_nan_is_a_number() -> None:
    data = parse(b"[.nan]").data
    assert isinstance(data, list)
    assert math.isnan(data[0])


@given(JSON_LIKE)
def test_data_written_as_json_reads_back_the_same(data: object) -> None:
    assert parse(as_yaml(data)).data == data


@given(st.text() | st.text(alphabet="[]{}:,-?&*!|>'\"#%@ \n\tab0"))
@settings(max_examples=300)
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        examine(text.encode())
    except ConfigError as refused:
        assert all(problem.line >= 1 and problem.column >= 1 for problem in refused.problems)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        examine(raw)
    except ConfigError as refused:
        assert refused.problems


LISTENERS = b"""\
version: 1
listeners:
  - name: https
    port: 443
  - {name: http, tags: {env: prod}}
"""


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        (("version",), (1, 1), (1, 10)),
        (("listeners",), (2, 1), (3, 3)),
        (("listeners", 0), (3, 5), (3, 5)),
        (("listeners", 0, "port"), (4, 5), (4, 11)),
        (("listeners", 1, "tags", "env"), (5, 25), (5, 30)),
        (("listeners", 0, "absent"), (3, 5), (3, 5)),
        (("listeners", 7, "port"), (3, 3), (3, 3)),
        ((), (1, 1), (1, 1)),
    ],
)
def test_marks_find_keys_and_values(
    where: tuple[str | int, ...], key: tuple[int, int], value: tuple[int, int]
) -> None:
    marks = parse(LISTENERS).marks
    assert (marks.key(where), marks.value(where)) == (key, value)


def test_an_alias_has_its_own_place_and_its_parts_have_theirs() -> None:
    document = parse(b"a: &x\n  port: 1\nb: *x\n")
    assert document.data == {"a": {"port": 1}, "b": {"port": 1}}
    assert document.marks.value(("b",)) == (3, 4)
    assert document.marks.value(("b", "port")) == (2, 9)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3", (3, 1), 'duplicate key "a"; it is given first at line 1, column 1'),
        ("a: {b: 1, b: 2}", (1, 11), 'duplicate key "b"; it is given first at line 1, column 5'),
        ("80: x", (1, 1), "put it in quotes if 80 is meant"),
        ("true: x", (1, 1), "put it in quotes if true is meant"),
        ("? [a]\n: b", (1, 3), "a key is text, not a list"),
        ("a: !point 3", (1, 4), 'unknown tag "!point"'),
        ("a: !!python/name:os.system x", (1, 4), "unknown tag"),
        ("a: !!set {b}", (1, 4), "unknown tag"),
        ("a: !!int x", (1, 4), '"x" does not fit the tag !!int'),
        ("a: &x [*x]", (1, 8), "the alias *x stands inside its own anchor"),
        ("a: *x", (1, 4), "the alias *x has no anchor &x above it"),
        ("a: 1\n---\nb: 2", (2, 1), "a second document"),
        ("a:\n\t- b", (2, 1), "this is a tab"),
        ("a: [1,\n", (2, 1), "not valid YAML"),
        ("a: b: c", (1, 5), "mapping values are not allowed"),
        ("a: \x07", (1, 4), "U+0007 is not allowed"),
        (b"a: 1\nb: caf\xe9 x", (2, 7), "not valid UTF-8: byte 0xe9"),
        ("a: " + "9" * 500, (1, 4), "a number of 500 digits"),
        ("[" * 500, (1, 65), "nested more than 64"),
    ],
)
def test_refusals_name_the_place(text: str | bytes, place: tuple[int, int], message: str) -> None:
    problem = refusal(text)
    assert (problem.line, problem.column) == place
    assert message in problem.message


def test_nesting_without_end_is_refused_before_it_is_followed() -> None:
    assert "nested more than 64" in refusal("[" * 100_000).message


def test_problems_of_the_tree_are_found_together_and_carry_their_path() -> None:
    problems = examine(b"l:\n  - {p: 1, p: 2}\n  - {t: !x 1}\n5: 6\n").problems
    assert [problem.path for problem in problems] == ["l[0].p", "l[1].t", ""]


def test_the_first_of_two_duplicates_is_the_one_that_is_read() -> None:
    assert examine(b"a: 1\na: 2").data == {"a": 1}


def test_a_few_aliases_cannot_stand_for_a_billion_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_NODES", 10_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "after aliases are expanded" in refusal("\n".join(lines)).message


def test_aliases_cannot_nest_deeper_than_brackets_may() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000)]
    assert "levels deep after aliases" in refusal("\n".join(lines)).message


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_NODES", 100)
    assert "more than 100 values" in refusal("- x\n" * 200).message


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 1024 * 1024)
    assert parse(b"#" * (1024 * 1024)).data is None
    assert refusal(b"#" * (1024 * 1024 + 1)).message == "the file is over 1 MiB"


def test_a_byte_order_mark_is_not_part_of_the_first_key() -> None:
    document = parse(b"\xef\xbb\xbfa: 1")
    assert document.data == {"a": 1}
    assert document.marks.value(("a",)) == (1, 4)


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"---\n", b"--- \n...\n"])
def test_an_empty_document_is_null(text: bytes) -> None:
    assert parse(text).data is None

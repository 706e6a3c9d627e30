"""YAML text to plain data, keeping the line and column of every key and value.

The data is None, bool, int, float, str, list and dict with text keys.  Plain scalars are read by the core schema
of YAML 1.2: no `on`/`off`/`yes`/`no`, no sexagesimal 22:30, no dates.  The text is untrusted: its size, its depth
and the number of nodes after aliases are expanded are all bounded.

The tree is built from parser events because libyaml's own composer recurses in C, and a file of opening brackets
overflows its stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, Protocol

import yaml
from yaml import events

from fastnlb.config.errors import ConfigError, Mark, Problem, Where, quote, show_path
from fastnlb.config.scalars import Scalar, resolve

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 1_000_000

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CORE = "tag:yaml.org,2002:"
_TAGGED: dict[str, type] = {"int": int, "float": float, "bool": bool, "null": type(None)}


class _YamlMark(Protocol):
    """What libyaml's marks and those of the parser in Python have in common; both count from 0."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


@dataclass(slots=True)
class _Node:
    mark: Mark
    value: Scalar | list[_Node] | dict[str, tuple[Mark, _Node]]


@dataclass(slots=True)
class _Frame:
    """A collection being filled.  `key` is set while its value is awaited, with None for a key that was refused;
    `name` is the last key and, unlike `key`, outlives the start of the value.
    """

    node: _Node
    key: tuple[Mark, str | None] | None = None
    name: str | None = None


class Marks:
    """Where keys and values stand.  A path that leads nowhere gives the nearest place around it."""

    def __init__(self, root: _Node) -> None:
        self._root = root

    def value(self, where: Where) -> Mark:
        """(line, column) where the value at `where` begins; a block mapping begins at its first key."""
        return self._walk(where)[1].mark

    def key(self, where: Where) -> Mark:
        """(line, column) of the key that names `where`, or of the value when it is an item of a list."""
        return self._walk(where)[0]

    def _walk(self, where: Where) -> tuple[Mark, _Node]:
        mark, node = self._root.mark, self._root
        for part in where:
            held = node.value
            if isinstance(held, dict) and isinstance(part, str) and part in held:
                mark, node = held[part]
            elif isinstance(held, list) and isinstance(part, int) and part < len(held):
                mark, node = held[part].mark, held[part]
            else:
                return node.mark, node
        return mark, node


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, its marks, and what is wrong with it that did not stop the reading."""

    data: object
    marks: Marks
    problems: tuple[Problem, ...] = ()


def parse(raw: bytes) -> Document:
    """The one document in `raw`.  Raises ConfigError for anything wrong with it."""
    document = examine(raw)
    if document.problems:
        raise ConfigError(document.problems)
    return document


def examine(raw: bytes) -> Document:
    """As `parse`, but a duplicate key, a key that is no text and a wrong tag are left in `problems`, so that the
    rest of the document can be looked at too.  Their values are not in the data (of duplicates the first is).
    """
    if len(raw) > MAX_BYTES:
        _refuse((1, 1), f"the file is over {MAX_BYTES // 1024 // 1024} MiB")
    text = _decode(raw)
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_PARSER):
            composer.feed(event)
    except yaml.MarkedYAMLError as error:
        _refuse(*_explain(error, text))
    except yaml.YAMLError as error:
        _refuse((1, 1), f"not valid YAML: {error}")
    root = composer.root or _Node((1, 1), None)
    return Document(_Expansion().plain(root, ()), Marks(root), tuple(composer.problems))


class _Composer:
    """Builds the tree of nodes from parser events, on a stack of its own."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self.problems: list[Problem] = []
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Node] = {}
        self._documents = 0
        self._nodes = 0

    def feed(self, event: events.Event) -> None:
        mark = _mark_of(event.start_mark)
        if isinstance(event, events.DocumentStartEvent):
            self._begin_document(mark)
        elif isinstance(event, events.AliasEvent):
            self._place(_Node(mark, self._target(event.anchor or "", mark).value), mark)
        elif isinstance(event, events.ScalarEvent):
            self._anchored(event, _Node(mark, self._scalar(event, mark)), mark)
        elif isinstance(event, events.MappingStartEvent):
            self._open(event, _Node(mark, {}), mark)
        elif isinstance(event, events.SequenceStartEvent):
            self._open(event, _Node(mark, []), mark)
        elif isinstance(event, events.CollectionEndEvent):
            self._frames.pop()

    def _begin_document(self, mark: Mark) -> None:
        self._documents += 1
        if self._documents > 1:
            _refuse(mark, "a second document begins here; the file holds one")

    def _target(self, anchor: str, mark: Mark) -> _Node:
        node = self._anchors.get(anchor)
        if node is None:
            _refuse(mark, f"the alias *{anchor} has no anchor &{anchor} above it", self._where())
        if any(frame.node is node for frame in self._frames):
            _refuse(mark, f"the alias *{anchor} stands inside its own anchor", self._where())
        return node

    def _anchored(self, event: events.NodeEvent, node: _Node, mark: Mark) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._place(node, mark)

    def _open(self, event: events.CollectionStartEvent, node: _Node, mark: Mark) -> None:
        wanted = "map" if isinstance(node.value, dict) else "seq"
        if event.tag not in (None, "!", _CORE + wanted):
            self._note(mark, f"unknown tag {quote(event.tag)}")
        self._anchored(event, node, mark)
        self._frames.append(_Frame(node))
        if len(self._frames) > MAX_DEPTH:
            _refuse(mark, f"nested more than {MAX_DEPTH} levels deep")

    def _place(self, node: _Node, mark: Mark) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _refuse(mark, f"more than {MAX_NODES} values")
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif frame.key is None:
            frame.name = self._key(node, mark)
            frame.key = (mark, frame.name)
        else:
            self._set(frame, *frame.key, node)

    def _key(self, node: _Node, mark: Mark) -> str | None:
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, list | dict):
            _refuse(mark, "a key is text, not a list or a mapping", self._where())
        self._note(mark, f"a key is text; put it in quotes if {_spell(node.value)} is meant as a name")
        return None

    def _set(self, frame: _Frame, key_mark: Mark, key: str | None, node: _Node) -> None:
        frame.key = None
        held = frame.node.value
        if key is None or not isinstance(held, dict):
            return
        if key in held:
            (line, column), _ = held[key]
            message = f"duplicate key {quote(key)}; it is given first at line {line}, column {column}"
            self.problems.append(Problem(*key_mark, show_path((*self._where(), key)), message))
            return
        held[key] = (key_mark, node)

    def _scalar(self, event: events.ScalarEvent, mark: Mark) -> Scalar:
        if event.tag in ("!", _CORE + "str") or (event.tag is None and not event.implicit[0]):
            return event.value
        try:
            value = resolve(event.value)
        except ValueError as error:
            self._note(mark, str(error))
            return 0
        if event.tag is not None:
            self._check_tag(event.tag, value, mark)
        return value

    def _check_tag(self, tag: str, value: Scalar, mark: Mark) -> None:
        name = tag.removeprefix(_CORE)
        if name == tag or name not in _TAGGED:
            self._note(mark, f"unknown tag {quote(tag)}")
        elif type(value) is not _TAGGED[name]:
            self._note(mark, f"{_spell(value)} does not fit the tag !!{name}")

    def _note(self, mark: Mark, message: str) -> None:
        self.problems.append(Problem(*mark, show_path(self._where()), message))

    def _where(self) -> Where:
        where: list[str | int] = []
        for depth, frame in enumerate(self._frames, start=1):
            innermost = depth == len(self._frames)
            if isinstance(frame.node.value, list):
                # Collections are placed when they open, so an outer list already counts the one being filled.
                where.append(len(frame.node.value) - (0 if innermost else 1))
            elif frame.name is not None and (frame.key is not None or not innermost):
                where.append(frame.name)
        return tuple(where)


class _Expansion:
    """Nodes to plain data.  Every use of an alias counts, so that ten lines cannot stand for a billion values."""

    def __init__(self) -> None:
        self._nodes = 0

    def plain(self, node: _Node, where: Where) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _refuse(node.mark, f"more than {MAX_NODES} values after aliases are expanded", where)
        if len(where) > MAX_DEPTH:
            _refuse(node.mark, f"nested more than {MAX_DEPTH} levels deep after aliases are expanded")
        if isinstance(node.value, dict):
            return {key: self.plain(value, (*where, key)) for key, (_, value) in node.value.items()}
        if isinstance(node.value, list):
            return [self.plain(value, (*where, index)) for index, value in enumerate(node.value)]
        return node.value


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        _refuse(_position(before), f"not valid UTF-8: byte 0x{raw[error.start]:02x}")
    found = _UNPRINTABLE.search(text)
    if found:
        _refuse(_position(text[: found.start()]), f"the character U+{ord(found[0]):04X} is not allowed in YAML")
    return text


def _position(before: str) -> Mark:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _mark_of(mark: _YamlMark | None) -> Mark:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[Mark, str]:
    """libyaml's complaint with its place; a tab is named, because its own words never say so."""
    mark = error.problem_mark or error.context_mark
    message = ", ".join(part for part in (error.problem, error.context) if part)
    if "nesting depth" in message:  # libyaml reads ahead, and has a limit of its own
        return _mark_of(mark), f"nested more than {MAX_DEPTH} levels deep"
    if mark is None:
        return (1, 1), f"not valid YAML: {message}"
    lines = text.split("\n")
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        message += "; this is a tab, and YAML is indented with spaces"
    return _mark_of(mark), f"not valid YAML: {message}"


def _spell(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return quote(value) if isinstance(value, str) else str(value)


def _refuse(mark: Mark, message: str, where: Where = ()) -> NoReturn:
    raise ConfigError([Problem(*mark, show_path(where), message)])

"""The JSON Schema of fastnlb.yaml: it takes whatever the loader takes, and knows most of what the loader refuses.

That it takes every good configuration is asked for by `judge` wherever one is judged.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic_core import PydanticCustomError
from support.good_config import GOOD, GROUP, LISTENER, PROBE, REMOVED, SERVER, judge, with_value
from support.json_schema import objections

from fastnlb.config.errors import Where
from fastnlb.config.json_schema import json_schema
from fastnlb.config.rule import Rule, rule_of
from fastnlb.config.schema import Block, FileBlock

ROOT = Path(__file__).resolve().parents[2]
FORMATS = Draft202012Validator.FORMAT_CHECKER
BLOCKS = Block.__subclasses__()
KEYS = [(block, key) for block in BLOCKS for key in block.model_fields]


def yaml_blocks(page: Path) -> Iterator[dict[str, Any]]:
    """The examples of a page; those that are a part of a file are made whole."""
    for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        yield {"version": 1, **yaml.safe_load(text)}


PAGES = [path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if any(yaml_blocks(path))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_there_are_examples() -> None:
    assert {path.name for path in PAGES} >= {"README.md", "configuration.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_examples_of_the_documentation_are_good(page: Path) -> None:
    for example in yaml_blocks(page):
        assert objections(example) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ((*SERVER, "address"), "10.0.0.1"),
        ((*SERVER, "address"), "::ffff:10.0.0.1"),
        ((*SERVER, "address"), "2001:DB8::1"),
        ((*SERVER, "address"), "app.example.com"),
        ((*SERVER, "address"), "app.example.com."),
        ((*SERVER, "address"), "_http.a-b.1.x2"),
        ((*SERVER, "address"), "localhost"),
        (("admin", "socket"), " a b "),
        (("resolver",), {"nameservers": ["10.0.0.2", "::1", "127.0.0.1:8600", "[::1]:8600"]}),
        ((*GROUP, "scheduler"), "tCh"),
        (("user",), "root"),
        (("workers",), 1024),
        ((*LISTENER, "tags"), {"größe a.:/+-@_": "größe a.:/=+-@_", "naïve": ""}),
        (
            (*LISTENER, "accept_proxy_protocol"),
            {"trusted": ["10.0.0.0/8", "10.0.0.0/255.0.0.0", "fe80::%eth0/64", "::"]},
        ),
        ((*LISTENER, "proxy_protocol"), {}),
        ((*LISTENER, "proxy_protocol"), None),
        (PROBE, {"type": "HTTP", "domain": "a.example.com", "url": "/~!()*[]@$^:',+?a=b#c"}),
        (("server_groups",), [{"name": "web", "servers": [{"address": "unix:/run/a b.sock"}]}]),
    ],
)
def test_spellings_that_the_loader_takes(where: Where, value: object) -> None:
    assert judge(with_value(where, value)) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("version",), 2),
        (("version",), "1"),
        (("version",), REMOVED),
        (("workers",), 0),
        (("workers",), 1025),
        (("workers",), "many"),
        (("zzz",), 1),
        (("run_dir",), ""),
        (("run_dir",), "  "),
        (("watch",), "yes"),
        (("admin",), []),
        (("admin",), {"listen": "localhost:1"}),
        (("admin",), {"listen": "::1:9901"}),
        (("logging",), {"level": "warn"}),
        (("resolver",), {"nameservers": ["dns.test"]}),
        (("resolver",), {"nameservers": ["::1:53:"]}),
        (("resolver",), {"nameservers": ["10.0.0.1"] * 9}),
        (("certificates",), None),
        (("certificates",), {"www": 1}),
        (("certificates", 0, "name"), "-www"),
        (("certificates", 0, "name"), REMOVED),
        (("certificates", 0, "certificate"), "a\x00b"),
        (("listeners", 0), "https"),
        ((*GROUP, "name"), "a b"),
        ((*GROUP, "name"), "x" * 129),
        ((*GROUP, "scheduler"), "wr"),
        ((*GROUP, "protocol"), "UDP"),
        ((*GROUP, "any_port"), 0),
        ((*GROUP, "connection_drain_timeout"), 901),
        ((*SERVER, "address"), "10.0.0.256"),
        ((*SERVER, "address"), "010.0.0.1"),
        ((*SERVER, "address"), "fe80::1%eth0"),
        ((*SERVER, "address"), "a..b"),
        ((*SERVER, "address"), "unix:run/app.sock"),
        ((*SERVER, "address"), 10.5),
        ((*SERVER, "address"), REMOVED),
        ((*SERVER, "port"), 65536),
        ((*PROBE, "url"), "x"),
        ((*PROBE, "url"), "/" + "x" * 80),
        ((*PROBE, "domain"), "a_/b"),
        ((*PROBE, "http_codes"), []),
        ((*PROBE, "http_codes"), ["http_200"]),
        ((*LISTENER, "protocol"), "tcpssl"),
        ((*LISTENER, "protocol"), "UDP"),
        ((*LISTENER, "address"), "localhost"),
        ((*LISTENER, "address"), "1::2::3"),
        ((*LISTENER, "port"), "443"),
        ((*LISTENER, "port"), 443.5),
        ((*LISTENER, "port"), True),
        ((*LISTENER, "port_range"), [1]),
        ((*LISTENER, "port_range"), [0, 5]),
        ((*LISTENER, "sever_group"), "web"),
        ((*LISTENER, "tags"), {"a": 1}),
        ((*LISTENER, "tags"), {"": "a"}),
        ((*LISTENER, "tags"), {"a=b": "a"}),
        ((*LISTENER, "tags"), {"a": "b\nc"}),
        ((*LISTENER, "tags"), {"a": "b*"}),
        ((*LISTENER, "tags"), {"a" * 65: "a"}),
        ((*LISTENER, "tags"), {"a": "b" * 129}),
        ((*LISTENER, "tags"), {str(n): "" for n in range(21)}),
        ((*LISTENER, "alpn_policy"), "h2"),
        ((*LISTENER, "client_certificate"), "maybe"),
        ((*LISTENER, "proxy_protocol"), {"version": 1}),
        ((*LISTENER, "proxy_protocol"), {"tlvs": ["sni"]}),
        ((*LISTENER, "proxy_protocol"), {"vpc_id": "a b"}),
        ((*LISTENER, "accept_proxy_protocol"), {}),
        ((*LISTENER, "accept_proxy_protocol"), {"trusted": []}),
        ((*LISTENER, "accept_proxy_protocol"), {"trusted": ["everybody"]}),
        (("security_policies",), [{"name": "p", "tls_versions": ["TLSv1.4"], "ciphers": ["AES128-SHA"]}]),
        (("security_policies",), [{"name": "p", "tls_versions": ["TLSv1.2"], "ciphers": ["RC4"]}]),
    ],
)
def test_what_both_refuse(where: Where, value: object) -> None:
    data = with_value(where, value)
    assert judge(data) != []
    assert objections(data) != []


def of_rule(rule: Rule, value: object) -> bool:
    try:
        rule.check(value, SimpleNamespace(field_name="key"))  # type: ignore[arg-type]
    except PydanticCustomError:
        return False
    return True


TEXTS = list({id(rule): rule for block, key in KEYS if (rule := rule_of(block.model_fields[key]))}.values())
LIKELY = "abzAZ0129.:/-_ %[]$@=,~unix\t\u00a0\u00fc\u4e2d"


@given(
    value=st.one_of(
        st.text(LIKELY, max_size=12),
        st.ip_addresses().map(str),
        st.ip_addresses(v=4).map(lambda address: f"{address}:{int(address) % 65535 + 1}"),
        st.ip_addresses(v=6).map(lambda address: f"[{address.exploded}]:1"),
        st.lists(st.text("ab0-_", max_size=5), max_size=4).map(".".join),
        st.text("/a%?#&=.", max_size=80).map("/".__add__),
        st.text(LIKELY).map("unix:/".__add__),
        st.dictionaries(st.text(LIKELY, max_size=9), st.text(LIKELY, max_size=9), max_size=2),
    )
)
def test_what_the_loader_takes_the_schema_takes(value: object) -> None:
    """Each kind of text against each kind of key."""
    for rule in TEXTS:
        if of_rule(rule, value):
            assert Draft202012Validator(dict(rule.keywords), format_checker=FORMATS).is_valid(value), rule.takes


def test_no_range_differs_from_the_loaders() -> None:
    ranges = {}
    for block, key in KEYS:
        keywords = {} if (rule := rule_of(block.model_fields[key])) is None else rule.keywords
        if "minimum" in keywords:
            ranges[f"{block.__name__}.{key}"] = (keywords["minimum"], keywords["maximum"], rule)
    assert ranges["ListenerBlock.idle_timeout"][:2] == (1, 900)
    assert len(ranges) > 15
    for name, (low, high, rule) in ranges.items():
        info = type("Info", (), {"field_name": name})
        assert [rule.check(value, info) for value in (low, high)] == [low, high]
        for outside in (low - 1, high + 1):
            with pytest.raises(Exception, match="out of range"):
                rule.check(outside, info)


@pytest.mark.parametrize(("block", "key"), KEYS, ids=[f"{block.__name__}.{key}" for block, key in KEYS])
def test_every_key_says_what_it_does_and_what_it_takes(block: type[Block], key: str) -> None:
    declared = block.model_fields[key]
    assert declared.description
    assert "\n" not in declared.description
    assert rule_of(declared) is not None or list(blocks_in(declared.annotation))
    if not declared.is_required() and rule_of(declared) is not None:
        shown = block.model_json_schema()["properties"][key]
        assert "default" in shown


def blocks_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from blocks_in(part)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_each_block_alone_has_a_schema_that_openapi_can_use(block: type[Block]) -> None:
    alone = block.model_json_schema(ref_template="#/components/schemas/{model}")
    Draft202012Validator.check_schema(alone)
    assert alone["additionalProperties"] is False
    assert set(alone.get("required", [])) == {
        key for key, declared in block.model_fields.items() if declared.is_required()
    }


def test_defaults_are_those_of_the_loader() -> None:
    shown = json_schema()["$defs"]["ListenerBlock"]["properties"]
    made = FileBlock.model_validate(GOOD).model_dump()["listeners"][0]
    for key, schema in shown.items():
        if "default" in schema and key not in GOOD["listeners"][0]:
            assert schema["default"] == made[key], key


def test_the_command_prints_it() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "fastnlb", "schema"], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(printed.stdout) == json_schema()

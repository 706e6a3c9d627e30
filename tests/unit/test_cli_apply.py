"""`apply`, `export` and `history`: the whole of what is served, and what it was before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.fake_api import FakeApi, fake_api, problem

from fastnlb.cli.history_text import change_lines
from fastnlb.cli.main import main
from fastnlb.tls.material import self_signed

FILE = """\
version: 1
workers: 2
logging: {level: info}
certificates:
  - {name: www, certificate: www.pem, private_key: www.key}
server_groups:
  - name: web
    servers: [{address: 10.0.0.1, port: 80}]
listeners:
  - name: https
    protocol: TCPSSL
    port: 443
    server_group: web
    certificate: www
"""
LINES = {"change": {"revision": 3, "lines": ["+ listener https 0.0.0.0:443"], "warnings": []}}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.delenv("FASTNLB_URL", raising=False)
    with fake_api(tmp_path) as served:
        yield served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name, text in zip(("www.pem", "www.key"), self_signed(["www.test"]), strict=True):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(text)
    path = tmp_path / "fastnlb.yaml"
    path.write_text(FILE)
    return path


def run(api: FakeApi, *arguments: str, text: str | None = None) -> Result:
    words = [*arguments, "--admin", str(api.socket)]
    return CliRunner().invoke(main, words, catch_exceptions=False, input=text)


def test_a_configuration_file_is_sent_with_the_contents_of_its_files(api: FakeApi, file: Path) -> None:
    api.on("POST", "/api/v1/apply", LINES)
    result = run(api, "apply", "-f", str(file))
    assert (result.exit_code, result.stdout) == (0, "+ listener https 0.0.0.0:443\n")
    assert result.stderr == "note: settings of the daemon are not sent, its own file has them: workers\n"
    certificate, key = ((file.parent / name).read_text() for name in ("www.pem", "www.key"))
    assert api.last.body == {
        "certificates": [{"name": "www", "certificate_pem": certificate, "private_key_pem": key}],
        "server_groups": [{"name": "web", "servers": [{"address": "10.0.0.1", "port": 80}]}],
        "listeners": [
            {"name": "https", "protocol": "TCPSSL", "port": 443, "server_group": "web", "certificate": "www"}
        ],
    }


def test_a_dry_run_of_it(api: FakeApi, file: Path) -> None:
    api.on("POST", "/api/v1/apply", {"change": {"lines": []}})
    assert run(api, "apply", "-f", str(file), "--dry-run").stdout == "nothing would change\n"
    assert api.last.query == [("dry_run", "true")]


def test_a_refusal_names_the_place_in_the_file(api: FakeApi, file: Path) -> None:
    errors = [
        {"resource": "listeners/https", "path": "port", "message": "taken", "code": "Conflict.Port"},
        {"resource": "server-groups/web", "path": "servers[0].port", "message": "wrong"},
        {"resource": "certificates/www", "path": "private_key_pem", "message": "of another"},
        {"path": "listeners", "message": "too many"},
    ]
    api.on("POST", "/api/v1/apply", problem(400, "4 problems", errors=errors), status=400)
    result = run(api, "apply", "-f", str(file))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == [
        f"{file}:12:11: listener https: port: taken [Conflict.Port]",
        f"{file}:8:41: server group web: servers[0].port: wrong",
        f"{file}:5:52: certificate www: private_key_pem: of another",
        f"{file}:10:3: listeners: too many",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listners: []", ':1:1: unknown key "listners"; did you mean "listeners"?'),
        ("- 1", ": the keys of a configuration are needed"),
        ("certificates:\n  - {name: www, certificate: none.pem}", ":2:5: certificate www: certificate: "),
        ("certificates:\n  - {name: www, certificate: [1]}", ":2:5: certificate www: certificate: certificate takes"),
        ("a: 1\na: 2", ':2:1: a: duplicate key "a"'),
    ],
)
def test_what_is_no_configuration_is_not_sent(api: FakeApi, file: Path, text: str, says: str) -> None:
    file.write_text(text)
    result = run(api, "apply", "-f", str(file))
    assert (result.exit_code, api.asked) == (1, [])
    assert result.stderr.startswith(f"{file}{says}")


def test_what_was_exported_can_be_applied(api: FakeApi) -> None:
    served = {
        "certificates": [{"name": "www", "certificate_pem": "-----BEGIN CERTIFICATE-----\nMAA=\n"}],
        "server_groups": [{"name": "web", "tags": {"size": "0o17"}, "servers": []}],
        "listeners": [],
    }
    api.on("GET", "/api/v1/export", served)
    api.on("POST", "/api/v1/apply", {"change": {"lines": []}})
    for form in ("yaml", "json"):
        text = run(api, "export", "--output", form).stdout
        assert run(api, "apply", "-f", "-", text=text).stdout == "nothing has changed\n"
        assert api.last.body == served


def revision(number: int) -> dict[str, Any]:
    return {"number": number, "at": "2026-11-25T10:00:00Z", "author": "uid:0", "summary": "create listener https"}


def test_the_history_is_a_list(api: FakeApi) -> None:
    pages = [{"items": [revision(3), revision(2)], "next": 2}, {"items": [revision(1)], "next": None}]
    api.on("GET", "/api/v1/revisions", *pages)
    lines = run(api, "history", "--limit", "5").output.splitlines()
    assert lines[0].split() == ["REVISION", "AT", "AUTHOR", "SUMMARY"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1"]
    assert [each.query for each in api.asked] == [[("limit", "5")], [("limit", "3"), ("before", "2")]]
    api.on("GET", "/api/v1/revisions", {"items": [], "next": None})
    assert json.loads(run(api, "history", "list", "--output", "json").output) == []


def test_one_revision_and_the_difference_of_two(api: FakeApi) -> None:
    changes = [{"kind": "listeners", "name": "https", "what": "changed", "fields": {"port": [443, 8443]}}]
    api.on("GET", "/api/v1/revisions/3", {**revision(3), "changes": changes, "document": {}})
    api.on("GET", "/api/v1/revisions/1/diff", {"changes": changes})
    told = "~ listener https: port 443 -> 8443"
    assert run(api, "history", "show", "3").output.splitlines() == [
        "revision 3, 2026-11-25T10:00:00Z, by uid:0: create listener https",
        told,
    ]
    assert run(api, "history", "diff", "1", "3").output == f"{told}\n"
    assert api.last.query == [("to", "3")]


def test_going_back_is_a_change(api: FakeApi) -> None:
    api.on("POST", "/api/v1/revisions/1/restore", {"change": {"lines": ["- listener https"]}})
    assert run(api, "history", "restore", "1", "--dry-run").output == "- listener https\n"
    assert api.last.query == [("dry_run", "true")]
    assert run(api, "history", "restore", "1").output == "- listener https\n"
    missing = run(api, "history", "restore", "9")
    assert (missing.exit_code, missing.stderr[:11]) == (1, "revision 9:")


def test_changes_are_told_as_plans_are() -> None:
    old, new = {"address": "10.0.0.1", "port": 80, "weight": 1}, {"address": "10.0.0.2", "port": 80, "weight": 1}
    heavier = {**old, "weight": 9}
    fields = {
        "health_check": [{"interval": 5, "url": "/"}, {"interval": 9, "url": "/"}],
        "servers": [[old], [heavier, new]],
        "tags": [None, {"a": "b"}],
        "scheduler": [None, "wlc"],
    }
    changes = [
        {"kind": "certificates", "name": "old", "what": "removed"},
        {"kind": "certificates", "name": "www", "what": "changed", "fields": {"private_key": ["a", "b"]}},
        {"kind": "ca_certificates", "name": "ca", "what": "changed", "fields": {"crl": [None, "b"]}},
        {"kind": "server_groups", "name": "web", "what": "changed", "fields": fields},
        {"kind": "listeners", "name": "l", "what": "added"},
    ]
    assert change_lines(changes) == [
        "- certificate old",
        "~ certificate www: new private key",
        "~ CA certificate ca: CRL added",
        "~ server group web: health_check.interval 5 -> 9, server 10.0.0.2:80 added, "
        "server 10.0.0.1:80 weight 1 -> 9, tags.a none -> b, scheduler wrr -> wlc",
        "+ listener l",
    ]
    assert change_lines([]) == ["nothing has changed"]

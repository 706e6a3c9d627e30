"""Commands on resources: what they ask of the API, and what they make of its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from support.fake_api import FakeApi, fake_api, problem

from fastnlb.cli.main import main
from fastnlb.config.keys import keys_of
from fastnlb.config.schema import ListenerBlock, ServerGroupBlock

HTTPS = {
    "name": "https",
    "protocol": "TCPSSL",
    "address": "0.0.0.0",  # noqa: S104
    "port": 443,
    "port_range": None,
    "server_group": "web",
    "certificate": "www",
    "tags": {"a": "b"},
    "etag": "abc",
    "state": {
        "status": "Running",
        "connections": 12,
        "server_group": {"healthy": 2, "unhealthy": 1, "total": 3},
        "certificate_expires": "2027-01-01T00:00:00Z",
    },
}
CHANGED = {
    "name": "https",
    "change": {"revision": 7, "dry_run": False, "lines": ["+ listener https"], "warnings": []},
}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    for variable in ("FASTNLB_URL", "FASTNLB_TOKEN", "FASTNLB_TOKEN_FILE", "FASTNLB_CA_FILE"):
        monkeypatch.delenv(variable, raising=False)
    with fake_api(tmp_path) as served:
        yield served


def run(api: FakeApi, *arguments: str, **how: Any) -> Result:
    return CliRunner().invoke(main, [*arguments, "--admin", str(api.socket)], catch_exceptions=False, **how)


def test_create_sends_what_was_typed_and_shows_the_change(api: FakeApi) -> None:
    api.on("POST", "/api/v1/listeners", CHANGED, status=201)
    typed = ["--protocol", "TCPSSL", "--port", "443", "--server-group", "web", "--certificate", "www"]
    more = ["--alpn-strict", "--no-enabled", "--tag", "env=prod", "--tag", "team=a=b"]
    lists = ["--additional-certificates", "a,b", "--additional-certificates", "c"]
    nested = ["--proxy-protocol.tlvs", "alpn,ssl", "--accept-proxy-protocol.trusted", "10.0.0.0/8"]
    result = run(api, "listener", "create", "https", *typed, *more, *lists, *nested, "--idle-timeout", "60")
    assert (result.exit_code, result.output) == (0, "+ listener https\n")
    assert api.last.body == {
        "name": "https",
        "protocol": "TCPSSL",
        "port": 443,
        "server_group": "web",
        "certificate": "www",
        "additional_certificates": ["a", "b", "c"],
        "alpn_strict": True,
        "idle_timeout": 60,
        "proxy_protocol": {"tlvs": ["alpn", "ssl"]},
        "accept_proxy_protocol": {"trusted": ["10.0.0.0/8"]},
        "tags": {"env": "prod", "team": "a=b"},
        "enabled": False,
    }
    assert api.last.headers["Content-Type"] == "application/json"
    assert api.last.query == []


@pytest.mark.parametrize(("command", "block"), [("listener", ListenerBlock), ("server-group", ServerGroupBlock)])
def test_every_key_of_the_schema_is_an_option(command: str, block: Any) -> None:
    said = CliRunner().invoke(main, [command, "create", "--help"]).output
    singular = {"tags": "tag", "servers": "server"}
    for key in keys_of(block):
        if key.where != ("name",):
            assert f"--{'.'.join(singular.get(part, part).replace('_', '-') for part in key.where)} " in said


@pytest.mark.parametrize(
    ("typed", "server"),
    [
        ("10.0.0.1:8080", {"address": "10.0.0.1", "port": 8080}),
        ("10.0.0.1:8080,weight=50", {"address": "10.0.0.1", "port": 8080, "weight": 50}),
        ("[::1]:80,weight=0", {"address": "::1", "port": 80, "weight": 0}),
        ("[::1]", {"address": "::1"}),
        ("::1", {"address": "::1"}),
        ("app.example.com:80", {"address": "app.example.com", "port": 80}),
        ("10.0.0.1", {"address": "10.0.0.1"}),
        ("unix:/run/app.sock,weight=9", {"address": "unix:/run/app.sock", "weight": 9}),
    ],
)
def test_a_server_is_written_as_people_write_it(api: FakeApi, typed: str, server: dict[str, Any]) -> None:
    api.on("POST", "/api/v1/server-groups", {"change": {"lines": []}}, status=201)
    assert run(api, "server-group", "create", "web", "--server", typed).exit_code == 0
    assert api.last.body["servers"] == [server]


def test_any_key_can_be_set_and_unset_by_its_path(api: FakeApi) -> None:
    api.on("PATCH", "/api/v1/server-groups/web", {"change": {"lines": ["~ server group web"]}})
    sets = ["--set", "health_check.interval=5", "--set", "servers=[{address: 10.0.0.1, port: 80}]"]
    unset = ["--unset", "scheduler", "--health-check.url", "/up"]
    assert run(api, "server-group", "update", "web", *sets, *unset).exit_code == 0
    assert api.last.body == {
        "health_check": {"interval": 5, "url": "/up"},
        "servers": [{"address": "10.0.0.1", "port": 80}],
        "scheduler": None,
    }
    api.on("PATCH", "/api/v1/listeners/https", CHANGED)
    assert run(api, "listener", "update", "https", "--unset", "tags.a.b", "--tag", "c=d").exit_code == 0
    assert api.last.body == {"tags": {"a.b": None, "c": "d"}}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--port", "443", "--set", "port=80"], "port is given twice"),
        (["--unset", "proxy_protocol", "--proxy-protocol.version", "2"], "proxy_protocol is given twice"),
        (["--set", "port"], "it is written PATH=VALUE"),
        (["--set", "servers[0].port=1"], "is no key"),
        (["--set", "port=[1"], "--set port: not valid YAML"),
        (["--tag", "env"], "a tag is written key=value"),
        (["--port-range", "20000"], "it is written first-last"),
        (["--port", "many"], "'many' is not a valid integer"),
        ([], "there is nothing to change"),
        (["--no-such-key", "1"], "No such option"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(api: FakeApi, typed: list[str], says: str) -> None:
    result = run(api, "listener", "update", "https", *typed)
    assert result.exit_code == 2
    assert says in result.output
    assert api.asked == []


def test_a_refusal_has_every_problem_at_its_field(api: FakeApi) -> None:
    errors = [
        {"path": "port", "message": "70000 is out of range: port takes 1 to 65535", "code": "IllegalParam.Port"},
        {"path": "health_check.url", "message": "wrong", "resource": "server-groups/web"},
    ]
    api.on("POST", "/api/v1/listeners", problem(400, "2 problems", errors=errors), status=400)
    result = run(api, "listener", "create", "https", "--port", "70000")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "listener https: port: 70000 is out of range: port takes 1 to 65535 [IllegalParam.Port]",
        "server group web: health_check.url: wrong",
    ]


def test_a_read_only_daemon_is_explained_with_what_to_write_instead(api: FakeApi) -> None:
    why = problem(409, "the file is the truth", code="OperationDenied.ReadOnly", yaml="listeners:\n  - name: https\n")
    api.on("DELETE", "/api/v1/listeners/https", why, status=409)
    result = run(api, "listener", "delete", "https", "--yes")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "listener https: the file is the truth [OperationDenied.ReadOnly]",
        "write this into its file, and then: fastnlb reload",
        "  listeners:",
        "    - name: https",
    ]


def test_a_resource_comes_from_a_file_and_options_count_more(api: FakeApi, tmp_path: Path) -> None:
    api.on("POST", "/api/v1/listeners", CHANGED, status=201)
    file = tmp_path / "listener.yaml"
    file.write_text("{name: https, port: 443, server_group: web, tags: {a: b}, cps: 9}\n")
    typed = ["--port", "8443", "--tag", "c=d", "--unset", "cps"]
    assert run(api, "listener", "create", "-f", str(file), *typed).exit_code == 0
    assert api.last.body == {"name": "https", "port": 8443, "server_group": "web", "tags": {"a": "b", "c": "d"}}
    assert run(api, "listener", "create", "other", "-f", "-", input='{"port": 80}').exit_code == 0
    assert api.last.body == {"name": "other", "port": 80}


def test_a_file_that_is_wrong_is_refused_with_its_place(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "listener.yaml"
    file.write_text("port: 443\nport: 80\n")
    result = run(api, "listener", "create", "https", "-f", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith(f'{file}:2:1: port: duplicate key "port"')
    assert run(api, "listener", "create", "https", "-f", f"{file}x").stderr.startswith(f"{file}x: cannot read: ")
    file.write_text("- 1\n")
    assert "the keys of one resource are needed" in run(api, "listener", "create", "x", "-f", str(file)).stderr
    assert api.asked == []


def test_update_with_replace_puts_the_whole_of_it(api: FakeApi) -> None:
    api.on("PUT", "/api/v1/listeners/https", CHANGED)
    typed = ["-f", "-", "--replace", "--if-match", "abc", "--dry-run"]
    assert run(api, "listener", "update", "https", *typed, input="name: old\nport: 80\n").exit_code == 0
    assert api.last.body == {"name": "https", "port": 80}
    assert api.last.headers["If-Match"] == '"abc"'
    assert api.last.query == [("dry_run", "true")]


def test_a_dry_run_says_what_would_be(api: FakeApi) -> None:
    warnings = [{"path": "certificate", "message": "it has expired", "resource": "listeners/https"}]
    api.on("PATCH", "/api/v1/listeners/https", {"change": {"lines": [], "warnings": warnings}})
    result = run(api, "listener", "update", "https", "--cps", "9", "--dry-run")
    assert result.stdout == "nothing would change\n"
    assert result.stderr == "warning: listener https: certificate: it has expired\n"
    assert run(api, "listener", "update", "https", "--cps", "9").stdout == "nothing has changed\n"


def test_a_list_follows_its_pages(api: FakeApi) -> None:
    other = {"name": "plain", "protocol": "TCP", "address": "::", "port_range": [20, 29], "server_group": "web"}
    pages = [{"items": [HTTPS], "next": "x", "total": 2}, {"items": [other], "next": None, "total": 2}]
    api.on("GET", "/api/v1/listeners", *pages)
    result = run(api, "listener", "list", "--tag", "env=prod", "--tag", "a=b", "--name", "web-*", "--protocol", "TCP")
    assert result.output.splitlines() == [
        "NAME   PROTOCOL  ADDRESS      STATE    SERVER GROUP  HEALTHY  CERTIFICATE  EXPIRES     CONNECTIONS  TAGS",
        "https  TCPSSL    0.0.0.0:443  running  web           2/3      www          2027-01-01  12           a=b",
        "plain  TCP       [::]:20-29   -        web           -        -            -           -            -",
    ]
    filters = [("tag", "env=prod"), ("tag", "a=b"), ("name", "web-*"), ("protocol", "TCP"), ("limit", "1000")]
    assert [each.query for each in api.asked] == [filters, [*filters, ("cursor", "x")]]


def test_lists_and_resources_for_programs(api: FakeApi) -> None:
    api.on("GET", "/api/v1/listeners", {"items": [HTTPS], "next": None, "total": 1})
    api.on("GET", "/api/v1/listeners/https", HTTPS)
    assert json.loads(run(api, "listener", "list", "--output", "json").output) == [HTTPS]
    assert yaml.safe_load(run(api, "listener", "list", "--output", "yaml").output) == [HTTPS]
    assert json.loads(run(api, "listener", "show", "https", "--output", "json").output) == HTTPS
    assert yaml.safe_load(run(api, "listener", "show", "https", "--output", "yaml").output) == HTTPS


def test_a_page_has_every_key(api: FakeApi) -> None:
    api.on("GET", "/api/v1/listeners/https", HTTPS)
    lines = [line.split(maxsplit=1) for line in run(api, "listener", "show", "https").output.splitlines()]
    shown = dict(lines)
    assert shown["port"] == "443"
    assert shown["port_range"] == "-"
    assert shown["tags.a"] == "b"
    assert shown["connections"] == "12"
    assert shown["server_group.healthy"] == "2"


def test_the_servers_of_a_group_are_shown_with_their_health(api: FakeApi) -> None:
    servers = [
        {"address": "10.0.0.1", "port": 80, "weight": 1, "host": "a.test", "health": "HEALTHY", "connections": 3},
        {"address": "::1", "port": 80, "weight": 0, "health": "UNHEALTHY", "reason": "CONNECT_FAILED"},
    ]
    group = {"name": "web", "servers": [{"address": "a.test", "port": 80}], "health_check": {"interval": 5}}
    api.on("GET", "/api/v1/server-groups/web", {**group, "state": {"servers": servers, "used_by": ["https"]}})
    assert run(api, "server-group", "show", "web").output.splitlines() == [
        "name                   web",
        "health_check.interval  5",
        "used_by                https",
        "",
        "SERVER                WEIGHT  HEALTH     REASON          CONNECTIONS",
        "10.0.0.1:80 (a.test)  1       healthy    -               3",
        "[::1]:80              0       unhealthy  CONNECT_FAILED  -",
    ]


def test_servers_of_a_group_one_by_one(api: FakeApi) -> None:
    url = "/api/v1/server-groups/web/servers"
    api.on("POST", url, {"change": {"lines": ["~ server group web: server [::1]:80 added"]}}, status=201)
    result = run(api, "server-group", "add-server", "web", "[::1]:80", "--weight", "5")
    assert result.output == "~ server group web: server [::1]:80 added\n"
    assert api.last.body == {"address": "::1", "port": 80, "weight": 5}
    for typed, segment in (("[::1]:80", "%5B%3A%3A1%5D%3A80"), ("unix:/run/a b", "unix%3A%2Frun%2Fa%20b")):
        api.on("PATCH", f"{url}/{segment}", {"change": {"lines": ["~"]}})
        api.on("DELETE", f"{url}/{segment}", {"change": {"lines": ["-"]}})
        assert run(api, "server-group", "update-server", "web", typed, "--weight", "0").output == "~\n"
        assert api.last.body == {"weight": 0}
        assert run(api, "server-group", "remove-server", "web", typed).output == "-\n"


def test_a_listener_is_started_stopped_and_asked_for_its_servers(api: FakeApi) -> None:
    url = "/api/v1/listeners/https"
    api.on("POST", f"{url}/stop", {"change": {"lines": ["~ listener https: enabled true -> false"]}})
    api.on("POST", f"{url}/start", {"change": {"lines": []}})
    assert run(api, "listener", "stop", "https").output == "~ listener https: enabled true -> false\n"
    assert run(api, "listener", "start", "https").output == "nothing has changed\n"
    server = {"address": "10.0.0.1", "port": 80, "weight": 1, "status": "Unhealthy", "reason_code": "CONNECT_TIMEOUT"}
    told = {"listener": "https", "server_group": "web", "health_check_enabled": False, "servers": [server]}
    api.on("GET", f"{url}/health", told)
    assert run(api, "listener", "health", "https").output.splitlines() == [
        "listener https, server group web, which is not checked",
        "",
        "SERVER       WEIGHT  STATUS     REASON           CONNECTIONS",
        "10.0.0.1:80  1       unhealthy  CONNECT_TIMEOUT  -",
    ]


def test_quick_creation_in_one_request(api: FakeApi) -> None:
    api.on("POST", "/api/v1/quick", {"change": {"lines": ["+ listener x"]}}, status=201)
    typed = ["--listen", ":443", "--server", "10.0.0.1:80", "--server", "10.0.0.2:80", "--self-signed", "www.test"]
    assert run(api, "listener", "quick", *typed).output == "+ listener x\n"
    assert api.last.body == {
        "protocol": "TCPSSL",
        "address": "0.0.0.0",  # noqa: S104
        "port": 443,
        "self_signed": ["www.test"],
        "servers": ["10.0.0.1:80", "10.0.0.2:80"],
    }
    assert (
        run(api, "listener", "quick", "--listen", "[::1]:80", "--protocol", "TCP", "--server", "a:1").exit_code == 0
    )
    assert (api.last.body["address"], api.last.body["port"]) == ("::1", 80)
    for wrong in (
        ["--listen", ":443", "--server", "a:1"],
        ["--listen", "1.1.1.1", "--protocol", "TCP", "--server", "a:1"],
    ):
        assert run(api, "listener", "quick", *wrong).exit_code == 2


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"\xff"])
def test_what_is_no_daemon_does_not_answer(api: FakeApi, answer: bytes) -> None:
    api.on("GET", "/api/v1/listeners", answer, status=502)
    result = run(api, "listener", "list")
    assert result.exit_code == 4
    assert "what answers is no fastnlb (status 502 Bad Gateway)" in result.stderr
    assert CliRunner().invoke(main, ["listener", "list", "--admin", f"{api.socket}x"]).exit_code == 4


def test_names_cannot_lead_to_another_place(api: FakeApi) -> None:
    assert run(api, "listener", "show", "../certificates/www").exit_code == 1
    assert api.last.path == "/api/v1/listeners/..%2Fcertificates%2Fwww"
    run(api, "listener", "show", "..")
    assert api.last.path == "/api/v1/listeners/%2E%2E"


def test_help_and_lists_load_nothing_that_they_do_not_need(tmp_path: Path) -> None:
    heavy = "('fastapi', 'rich', 'cryptography', 'pydantic', 'yaml')"
    code = f"""
import sys
from fastnlb.cli.main import main
for words in (["--help"], ["listener", "list", "--admin", {str(tmp_path / "none")!r}]):
    try:
        main(words)
    except SystemExit:
        pass
print([each for each in {heavy} if each in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_reader_that_has_gone_is_no_fault(api: FakeApi) -> None:
    api.on("GET", "/api/v1/listeners", {"items": [{**HTTPS, "name": "x" * 100}] * 1000, "next": None})
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastnlb", "listener", "list", "--admin", str(api.socket)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")

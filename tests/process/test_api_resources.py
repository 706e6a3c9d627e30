"""The REST API: resources are made, shown, changed and deleted, and the data plane follows before the answer."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.api import Api, Managed, in_path
from support.procs import free_port, taken_port, wait_for
from support.site import connection, serves, tls_client
from support.store_writes import nothing

from fastnlb.control.store import store as store_module
from fastnlb.control.store.store import Store


@pytest.fixture
def api(managed: Managed) -> Api:
    return managed.api


# Listeners


def test_a_listener_serves_when_its_creation_is_answered(managed: Managed, api: Api) -> None:
    assert api.post("server-groups", managed.group()).status == 201
    listener = managed.listener(tags={"env": "prod"})
    made = api.post("listeners", listener)
    assert made.status == 201
    assert made.headers["location"] == "/api/v1/listeners/l"
    assert made.headers["etag"] == f'"{made.json["etag"]}"'
    assert made.json["change"]["revision"] == 2
    assert made.json["change"]["lines"] == [f"+ listener l 127.0.0.1:{listener['port']}"]
    assert made.json.items() >= listener.items()
    assert made.json["idle_timeout"] == 900
    assert made.json["state"]["status"] == "Running"
    with connection(listener["port"]):
        assert api.get("listeners/l").json["state"]["connections"] == 1
        wait_for(lambda: api.get("listeners/l").json["state"]["counters"].get("accepted") == 1, "it to be counted")
        status = api.get("status").json
        assert status["listeners"][0]["counters"]["accepted"] == 1
        assert sum(each["counters"].get("accepted", 0) for each in status["workers"]) == 1


def test_a_listener_is_stopped_started_changed_and_deleted_in_place(managed: Managed, api: Api) -> None:
    port = managed.serving()
    with connection(port) as exchange:
        assert api.post("listeners/l/stop").json["state"]["status"] == "Stopped"
        assert not serves(port)
        assert exchange(b"still here") == b"still here"
        assert api.post("listeners/l/stop").json["change"]["lines"] == []
        assert api.post("listeners/l/start").json["enabled"] is True
        assert serves(port)
        moved = free_port()
        assert api.patch("listeners/l", {"port": moved, "idle_timeout": 60}).json["idle_timeout"] == 60
        assert serves(moved)
        assert api.delete("listeners/l").json["change"]["lines"] == ["- listener l"]
        assert exchange(b"still here") == b"still here"
    assert not serves(moved)
    assert api.get("listeners/l").status == 404


def test_null_is_the_default_again_and_a_put_leaves_nothing_of_before(managed: Managed, api: Api) -> None:
    managed.serving(idle_timeout=60, cps=5)
    assert api.patch("listeners/l", {"idle_timeout": None}).json["idle_timeout"] == 900
    shown = api.get("listeners/l").json
    assert shown["cps"] == 5
    replaced = api.put("listeners/l", managed.listener(port=shown["port"]))
    assert (replaced.status, replaced.json["cps"]) == (200, 0)
    assert api.put("listeners/l", {**api.get("listeners/l").json, "mss": 1400}).json["mss"] == 1400
    assert api.put("listeners/m", managed.listener("m")).status == 201


def test_a_name_cannot_be_changed(managed: Managed, api: Api) -> None:
    managed.serving()
    assert api.patch("listeners/l", {"name": "m"}).faults == {"name": "a name cannot be changed: this one is l"}
    assert api.put("listeners/l", managed.listener("m")).status == 400


# Lists


def test_lists_are_filtered_and_paged(managed: Managed, api: Api) -> None:
    managed.serving(tags={"env": "prod", "team": "a"})
    for name, tags in (("m", {"env": "prod"}), ("web-1", {"env": "test"}), ("web-2", {})):
        assert api.post("listeners", managed.listener(name, tags=tags)).status == 201

    def names(query: str) -> list[str]:
        return [each["name"] for each in api.get(f"listeners?{query}").json["items"]]

    assert names("") == ["l", "m", "web-1", "web-2"]
    assert names("tag=env=prod") == ["l", "m"]
    assert names("tag=env=prod&tag=team=a") == ["l"]
    assert names("name=EB-") == ["web-1", "web-2"]
    assert names("name=*-2") == ["web-2"]
    assert names("tag=env=prod&tag=env=test") == []
    assert names("protocol=TCPSSL") == []
    page = api.get("listeners?limit=3").json
    assert (len(page["items"]), page["total"]) == (3, 4)
    rest = api.get(f"listeners?limit=3&cursor={page['next']}").json
    assert ([each["name"] for each in rest["items"]], rest["next"]) == (["web-2"], None)
    assert api.get("tags").json["items"] == [
        {"key": "env", "values": {"prod": 2, "test": 1}},
        {"key": "team", "values": {"a": 1}},
    ]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "tag=env", "cursor=!!", "color=red", "limit=1001", f"name={129 * 'a'}"]
)
def test_a_query_that_makes_no_sense_is_refused(managed: Managed, query: str) -> None:
    assert managed.api.get(f"listeners?{query}").status == 400


# Server groups


def test_servers_come_change_and_go_one_by_one(managed: Managed, api: Api) -> None:
    host, port = managed.server
    assert api.post("server-groups", {"name": "g"}).status == 201
    place = in_path(f"{host}:{port}")
    assert api.post("server-groups/g/servers", {"address": host, "port": port}).status == 201
    assert (
        api.post("server-groups/g/servers", {"address": host, "port": port}).problem["code"]
        == "DuplicatedParam.Server"
    )
    changed = api.patch(f"server-groups/g/servers/{place}", {"weight": 0}).json
    assert changed["servers"] == [{"address": host, "port": port, "weight": 0}]
    assert api.post("server-groups/g/servers", {"address": "unix:/run/app.sock"}).status == 201
    assert api.delete(f"server-groups/g/servers/{in_path('unix:/run/app.sock')}").status == 200
    assert api.delete(f"server-groups/g/servers/{place}").json["servers"] == []
    assert api.delete(f"server-groups/g/servers/{place}").status == 404


def test_a_server_is_found_however_it_is_spelt(managed: Managed, api: Api) -> None:
    servers = [{"address": "0:0:0:0:0:0:0:1", "port": 80}, {"address": "APP.example.com", "port": 80}]
    assert api.post("server-groups", managed.group(servers=servers)).status == 201
    for place in ("[::1]:80", "[0::1]:80", "app.example.com:80"):
        changed = api.patch(f"server-groups/g/servers/{in_path(place)}", {"weight": 0})
        assert changed.status == 200, place
    assert [each["weight"] for each in changed.json["servers"]] == [0, 0]
    again = api.post("server-groups/g/servers", {"address": "::1", "port": 80})
    assert again.problem["code"] == "DuplicatedParam.Server"


def test_a_bad_server_is_named_at_its_field(managed: Managed, api: Api) -> None:
    refused = api.post("server-groups", managed.group(servers=[{"address": "10.0.0.256", "port": 70000}]))
    assert set(refused.faults) == {"servers[0].address", "servers[0].port"}
    assert refused.problem["code"] == "IllegalParam.IP"


def test_the_health_of_a_listeners_servers_is_told(managed: Managed, api: Api) -> None:
    managed.serving()
    told = api.get("listeners/l/health").json
    assert told["health_check_enabled"] is True
    (server,) = told["servers"]
    assert (server["address"], server["port"], server["weight"]) == (*managed.server, 100)
    assert server["status"] in ("Initial", "Normal")
    assert api.get("listeners/x/health").status == 404


# What stands in the way


def test_what_is_in_use_cannot_be_deleted_and_what_is_not_there_cannot_be_used(managed: Managed, api: Api) -> None:
    managed.serving()
    used = api.delete("server-groups/g")
    assert (used.status, used.problem["code"]) == (409, "ResourceInUse.ServerGroup")
    assert used.problem["detail"] == "server group g is used by listener l"
    lost = api.post("listeners", managed.listener("m", server_group="h"))
    assert (lost.problem["code"], list(lost.faults)) == ("ResourceNotFound.serverGroup", ["server_group"])
    twice = api.post("listeners", managed.listener())
    assert (twice.status, twice.problem["code"]) == (409, "Conflict.Name")


def test_constraints_are_refused_by_their_names(managed: Managed, api: Api) -> None:
    port = managed.serving()
    assert api.post("listeners", managed.listener("m", port=port)).problem["code"] == "Conflict.Port"
    assert (
        api.post("listeners", managed.listener("m", protocol="TCPSSL")).problem["code"] == "MissingParam.Certificate"
    )
    assert list(api.post("listeners", managed.listener("m", idle_time=3)).faults) == ["idle_time"]
    other = api.patch("server-groups/g", {"any_port": True, "health_check": {"enabled": False}}).problem
    assert any(each.get("resource") == "listeners/l" for each in other["errors"])


def test_a_port_that_is_taken_refuses_the_change_and_nothing_has_changed(managed: Managed, api: Api) -> None:
    managed.serving()
    before = api.get("export").json
    with taken_port() as taken:
        refused = api.post("listeners", managed.listener("m", port=taken))
    assert refused.status == 409
    assert "nothing has changed" in refused.problem["detail"]
    assert str(taken) in refused.problem["detail"]
    assert api.get("export").json == before
    assert api.get("revisions").json["items"][0]["number"] == 2
    assert api.post("listeners", managed.listener("m")).json["change"]["revision"] == 3


def test_system_policies_are_shown_and_cannot_be_changed(managed: Managed, api: Api) -> None:
    names = [each["name"] for each in api.get("security-policies").json["items"] if each["state"]["system"]]
    assert len(names) == 5
    for answer in (
        api.patch(f"security-policies/{names[0]}", {"groups": []}),
        api.delete(f"security-policies/{names[0]}"),
        api.post("security-policies", {"name": names[0], "tls_versions": ["TLSv1.3"], "ciphers": []}),
    ):
        assert (answer.status, answer.problem["code"]) == (409, "OperationDenied.SystemPolicy")
    own = {"name": "mine", "tls_versions": ["TLSv1.3"], "ciphers": ["TLS_AES_128_GCM_SHA256"]}
    assert api.post("security-policies", own).status == 201


# Conditions, dry runs, repeated requests


def test_a_dry_run_says_what_would_change_and_changes_nothing(managed: Managed, api: Api) -> None:
    managed.serving()
    listener = managed.listener("m")
    planned = api.post("listeners?dry_run=true", listener)
    assert planned.status == 200
    assert planned.json["change"] == {
        "revision": None,
        "dry_run": True,
        "lines": [f"+ listener m 127.0.0.1:{listener['port']}"],
        "warnings": [],
    }
    assert planned.json["idle_timeout"] == 900
    assert api.get("listeners/m").status == 404
    assert api.delete("listeners/l?dry_run=true").json["change"]["lines"] == ["- listener l"]
    assert api.post("listeners?dry_run=true", managed.listener("m", port=0)).status == 400
    assert api.get("revisions").json["items"][0]["number"] == 2


def test_who_has_seen_an_older_version_is_told_of_the_present_one(managed: Managed, api: Api) -> None:
    managed.serving()
    seen = api.get("listeners/l").headers["etag"]
    changed = api.patch("listeners/l", {"cps": 10}, If_Match=seen)
    assert changed.status == 200
    late = api.patch("listeners/l", {"cps": 20}, If_Match=seen)
    assert late.status == 412
    assert late.problem["current"]["cps"] == 10
    assert api.delete("listeners/l", If_Match=seen).status == 412
    assert api.put("listeners/new", managed.listener("new"), If_Match="*").status == 412
    assert api.get("listeners/l", If_None_Match=changed.headers["etag"]).status == 304
    assert api.delete("listeners/l", If_Match=changed.headers["etag"]).status == 200


def test_a_repeated_request_is_done_once(managed: Managed, api: Api) -> None:
    group = managed.group()
    first = api.post("server-groups", group, Idempotency_Key="k1")
    again = api.post("server-groups", group, Idempotency_Key="k1")
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["idempotent-replay"] == "true"
    other = api.post("server-groups", managed.group("h"), Idempotency_Key="k1")
    assert (other.status, other.problem["code"]) == (409, "IdempotenceSignatureMismatch")


def test_a_repeated_request_that_changed_nothing_changes_nothing_later_either(managed: Managed, api: Api) -> None:
    managed.serving()
    assert api.post("listeners/l/start", Idempotency_Key="k").json["change"]["lines"] == []
    assert api.post("listeners/l/stop").json["enabled"] is False
    again = api.post("listeners/l/start", Idempotency_Key="k")
    assert again.headers["idempotent-replay"] == "true"
    assert api.get("listeners/l").json["enabled"] is False


def test_keys_of_repeated_requests_are_everybodys_own(managed: Managed, api: Api) -> None:
    assert api.post("server-groups", {"name": "g"}, Idempotency_Key="k").status == 201
    other = managed.local.post("server-groups", {"name": "g"}, Idempotency_Key="k")
    assert (other.status, other.problem["code"]) == (409, "Conflict.Name")


def test_a_version_is_one_of_those_a_client_has(managed: Managed, api: Api) -> None:
    managed.serving()
    etag = api.get("listeners/l").headers["etag"]
    assert api.get("listeners/l", If_None_Match=f'"other", W/{etag}').status == 304
    assert api.get("listeners/l", If_None_Match='"other"').status == 200


def test_what_the_daemon_refused_is_no_revision(managed: Managed, api: Api) -> None:
    managed.serving()
    with taken_port() as port:
        assert api.patch("listeners/l", {"port": port}).status == 409
    assert api.get("status").json["revision"] == 2
    assert api.patch("listeners/l", {"cps": 1}).json["change"]["revision"] == 3


@pytest.mark.parametrize("path", ["listeners/l", "server-groups/g", "certificates/www"])
def test_a_misspelt_key_is_refused_also_to_take_it_away(managed: Managed, api: Api, path: str) -> None:
    managed.serving()
    api.post("certificates", {"name": "www", "self_signed": ["localhost"]})
    assert list(api.patch(path, {"tags": {"a": "b"}, "idle_timout": None}).faults) == ["idle_timout"]
    server = in_path(f"{managed.server[0]}:{managed.server[1]}")
    assert list(api.patch(f"server-groups/g/servers/{server}", {"wieght": None}).faults) == ["wieght"]


# The whole


def test_quick_creation_makes_all_that_is_needed_at_once(managed: Managed, api: Api) -> None:
    host, server = managed.server
    wish: dict[str, Any] = {
        "address": "127.0.0.1",
        "port": free_port(),
        "name": "shop",
        "servers": [f"{host}:{server}"],
    }
    assert "certificate" in api.post("quick", wish).faults
    made = api.post("quick", {**wish, "self_signed": ["localhost"]})
    assert made.status == 201
    assert made.json["created"] == ["listeners/shop", "server-groups/shop", "certificates/shop"]
    assert made.json["change"]["revision"] == 1
    with tls_client(wish["port"]) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
    plain = {"protocol": "TCP", "address": "127.0.0.1", "port": free_port(), "server_group": "shop"}
    assert api.post("quick", plain).json["created"] == [f"listeners/tcp-{plain['port']}"]
    assert list(api.post("quick", {**plain, "servers": ["x"]}).faults) == ["server_group"]
    assert list(api.post("quick", {**wish, "servers": ["10.0.0.1"]}).faults) == ["servers[0]"]


def test_what_is_exported_is_applied_without_a_change_and_restores_what_was(managed: Managed, api: Api) -> None:
    api.post("certificates", {"name": "www", "self_signed": ["localhost"]})
    port = managed.serving(protocol="TCPSSL", certificate="www")
    whole = api.get("export").json
    assert api.post("apply", whole).json["change"]["lines"] == []
    emptied = api.post("apply", {})
    assert "- listener l" in emptied.json["change"]["lines"]
    assert api.get("listeners").json["items"] == []
    restored = api.post(f"revisions/{emptied.json['change']['revision'] - 1}/restore")
    assert restored.status == 200
    assert api.get("export").json == whole
    tls_client(port).close()
    history = api.get("revisions").json["items"]
    assert [each["summary"] for each in history[:2]] == ["restore revision 3", "apply a whole state"]
    assert history[0]["author"] == "loopback"
    diff = api.get("revisions/4/diff?to=3").json["changes"]
    assert {(each["kind"], each["what"]) for each in diff} == {
        ("listeners", "added"),
        ("server_groups", "added"),
        ("certificates", "added"),
    }
    assert api.get("revisions/99").status == 404
    assert api.post("revisions/99/restore").status == 404
    assert api.get(f"revisions/{10**30}").status == 400


def test_an_applied_mistake_is_named_by_resource_and_changes_nothing(managed: Managed, api: Api) -> None:
    managed.serving()
    whole = api.get("export").json
    whole["listeners"][0]["port"] = 0
    refused = api.post("apply", whole)
    (error,) = refused.problem["errors"]
    assert (error["resource"], error["path"]) == ("listeners/l", "port")
    assert "listners" in api.post("apply", {"listners": []}).faults
    for wrong in ("", {}, False, 0):
        assert "listeners" in api.post("apply", {"listeners": wrong}).faults


def test_the_oldest_revision_that_is_kept_is_shown_without_what_it_changed(
    tmp_path: Path, echo: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEPT_REVISIONS", 2)
    managed = Managed(tmp_path, echo)
    with contextlib.closing(Store.open_alone(managed.state)) as store:
        for number, name in enumerate(("a", "b", "c")):
            document = {**nothing(), "server_groups": [managed.group(name)]}
            store.commit(store.stage(document, "me", "", expected_head=number or None))
    managed.start()
    try:
        assert [each["number"] for each in managed.api.get("revisions").json["items"]] == [3, 2]
        oldest = managed.api.get("revisions/2")
        assert (oldest.status, oldest.json["changes"]) == (200, None)
        assert [each["name"] for each in oldest.json["document"]["server_groups"]] == ["b"]
        assert len(managed.api.get("revisions/3").json["changes"]) == 2
        told = [sys.executable, "-m", "fastnlb", "history", "show", "2", "--url", f"http://127.0.0.1:{managed.port}"]
        shown = subprocess.run(told, capture_output=True, text=True, timeout=60, check=False)
        assert (shown.returncode, "is not kept" in shown.stdout) == (0, True), shown
        assert managed.api.post("revisions/2/restore", {}).status == 200
    finally:
        managed.end()

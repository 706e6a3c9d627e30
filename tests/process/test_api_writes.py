"""Changes under stress: many writers, deaths in the middle, hot restarts, a full disk, and large states."""

from __future__ import annotations

import http.client
import os
import resource
import secrets
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.api import Answered, Managed
from support.procs import alive, free_port, wait_for
from support.site import connection, serves

CHANCE = secrets.SystemRandom()
WRITES = 60
LISTENERS, SERVERS = 2000, 10_000


def tags(managed: Managed) -> dict[str, str]:
    return dict(managed.api.get("listeners/l").json["tags"])


def test_writers_at_the_same_time_lose_no_change(managed: Managed) -> None:
    managed.serving()

    def add_one(number: int) -> None:
        while True:
            seen = managed.api.get("listeners/l")
            wanted = {**seen.json["tags"], f"k{number}": "x"}
            if managed.api.patch("listeners/l", {"tags": wanted}, If_Match=seen.headers["etag"]).status == 200:
                return

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(add_one, range(16)))
    assert set(tags(managed)) == {f"k{number}" for number in range(16)}
    numbers = [each["number"] for each in managed.api.get("revisions").json["items"]]
    assert numbers == list(range(len(numbers), 0, -1))


def test_a_request_that_is_sent_twice_at_the_same_time_is_done_once(managed: Managed) -> None:
    managed.serving()

    def send(_number: int) -> Answered:
        return managed.api.post("server-groups", {"name": "once"}, Idempotency_Key="k")

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(send, range(8)))
    assert [each.status for each in answers] == [201] * 8
    assert all(each.json == answers[0].json for each in answers)
    assert sorted("idempotent-replay" in each.headers for each in answers) == [False] + [True] * 7


def test_of_those_who_put_the_same_at_the_same_time_one_has_created_it(managed: Managed) -> None:
    def put(number: int) -> int:
        return managed.api.put("server-groups/g", {"tags": {"n": str(number)}}).status

    with ThreadPoolExecutor(8) as writers:
        assert sorted(writers.map(put, range(8))) == [200] * 7 + [201]


def gone(pid: int) -> bool:
    return not alive(pid)


def write_until_killed(managed: Managed, victim: int, kill_after: float) -> tuple[int, int]:
    """Tags of a listener count up; the last number that was acknowledged, and the last that was sent."""
    acknowledged = sent = 0
    killer = threading.Timer(kill_after, os.kill, (victim, signal.SIGKILL))
    killer.start()
    try:
        while sent < WRITES:
            sent += 1
            if managed.api.patch("listeners/l", {"tags": {"n": str(sent)}}).status != 200:
                break
            acknowledged = sent
    except (OSError, http.client.HTTPException):
        pass
    finally:
        killer.cancel()
        killer.join()
    return acknowledged, sent


def test_the_death_of_control_loses_no_change_that_was_acknowledged(managed: Managed) -> None:
    managed.serving(tags={"n": "0"})
    for _ in range(5):
        victim = managed.control
        acknowledged, sent = write_until_killed(managed, victim, CHANCE.uniform(0.05, 0.6))
        if acknowledged < WRITES:
            wait_for(partial(gone, victim), "its end")
        wait_for(lambda: managed.api.get("/readyz").status == 200, "an heir")
        kept = int(tags(managed)["n"])
        assert acknowledged <= kept <= sent
        assert managed.api.patch("listeners/l", {"tags": {"n": "0"}}).status == 200


def test_the_death_of_all_loses_no_change_that_was_acknowledged(managed: Managed) -> None:
    managed.serving(tags={"n": "0"})
    for _ in range(3):
        acknowledged, sent = write_until_killed(managed, managed.running.pid, CHANCE.uniform(0.1, 0.8))
        managed.running.kill()
        managed.start()
        assert acknowledged <= int(tags(managed)["n"]) <= sent
        (listener,) = managed.api.get("listeners").json["items"]
        assert serves(listener["port"])
        assert managed.api.patch("listeners/l", {"tags": {"n": "0"}}).status == 200


def test_what_was_served_and_not_acknowledged_is_taken_back_by_an_heir(managed: Managed) -> None:
    """Control dies while it waits for the disk: the workers serve a change that nobody was promised."""
    port = managed.serving()
    moved = free_port()
    control = managed.control
    seen = threading.Event()

    def change() -> None:
        try:
            managed.api.patch("listeners/l", {"port": moved})
        except (OSError, http.client.HTTPException):
            seen.set()

    client = threading.Thread(target=change)
    client.start()
    wait_for(lambda: managed.count(f"port {port} -> {moved}") == 1, "the change to be proposed")
    os.kill(control, signal.SIGKILL)
    client.join()
    wait_for(lambda: managed.control != control and managed.api.get("/readyz").status == 200, "an heir")
    kept = managed.api.get("listeners/l").json["port"]
    wait_for(lambda: serves(kept) and not serves(moved if kept == port else port), "what was kept to be served alone")


def test_signals_to_reload_take_no_change_back(managed: Managed) -> None:
    """Also between the moment it is served and the one it is on disk."""
    managed.serving()
    enough = threading.Event()

    def nag() -> None:
        while not enough.wait(0.002):
            os.kill(managed.running.pid, signal.SIGHUP)

    nagging = threading.Thread(target=nag)
    nagging.start()
    try:
        for _ in range(40):
            port = free_port()
            assert managed.api.patch("listeners/l", {"port": port}).status == 200
            assert serves(port)
    finally:
        enough.set()
        nagging.join()
    assert managed.api.post("reload").json["lines"] == ["nothing has changed"]
    assert serves(port)


def test_a_hot_restart_hands_the_api_on_and_writes_go_on(managed: Managed) -> None:
    port = managed.serving()
    with connection(port) as exchange:
        assert managed.local.post("upgrade").status == 200
        assert exchange(b"hello") == b"hello"

        def done() -> bool:
            answer = managed.api.patch("listeners/l", {"idle_timeout": 60})
            assert answer.status in (200, 503), answer.body
            return answer.status == 200

        wait_for(done, "the successor to have the state to itself")
    status = managed.api.get("status").json
    assert status["pid"] != managed.running.pid
    assert managed.api.get("revisions").json["items"][0]["number"] == 3
    os.kill(status["pid"], signal.SIGTERM)
    wait_for(lambda: not alive(status["pid"]), "the end of the successor")


def test_a_change_is_refused_while_a_worker_cannot_serve_it_and_done_once_it_can(managed: Managed) -> None:
    managed.serving()
    os.kill(managed.workers[0], signal.SIGSTOP)
    stopped = managed.workers[0]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(managed.api.patch, "listeners/l", {"cps": 7})
        wait_for(lambda: managed.count("cps") >= 1, "the change to be proposed")
        os.kill(stopped, signal.SIGCONT)
        assert waiting.result(60).status == 200


def whole(managed: Managed) -> dict[str, Any]:
    """2,000 listeners that are stopped, but one, on as many groups; 10,000 servers."""
    host, port = managed.server
    check = {"enabled": False}
    groups = [
        {
            "name": f"g{number}",
            "health_check": check,
            "servers": [
                {"address": f"10.{number // 200}.{number % 200}.{each + 1}", "port": 80} for each in range(5)
            ],
        }
        for number in range(LISTENERS)
    ]
    groups[0]["servers"] = [{"address": host, "port": port}]
    listeners = [
        {
            "name": f"l{number:04}",
            "protocol": "TCP",
            "address": f"127.{1 + number // 200}.{number % 200}.1",
            "port": 9000,
            "server_group": f"g{number}",
            "enabled": False,
            "tags": {"shard": str(number % 10)},
        }
        for number in range(LISTENERS)
    ]
    listeners[0] |= {"address": "127.0.0.1", "port": free_port(), "enabled": True}
    return {"server_groups": groups, "listeners": listeners}


@pytest.mark.slow
def test_two_thousand_listeners_and_ten_thousand_servers_are_managed(managed: Managed) -> None:
    """How long it takes is for `bench/api_scale.py`; here it is whether it does."""
    state = whole(managed)
    applied = managed.api.post("apply", state)
    assert applied.status == 200, applied.body[:500]
    assert serves(state["listeners"][0]["port"])
    listed: list[str] = []
    cursor = ""
    while True:
        page = managed.api.get(f"listeners?tag=shard=3&limit=150{cursor}").json
        listed += [each["name"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert listed == [f"l{number:04}" for number in range(3, LISTENERS, 10)]
    changed = managed.api.patch("listeners/l1999", {"idle_timeout": 5})
    assert changed.json["change"]["lines"] == ["~ listener l1999: idle_timeout 900 -> 5"]
    assert sum(len(each["servers"]) for each in managed.api.get("export").json["server_groups"]) == SERVERS - 4


def test_a_full_disk_is_an_error_to_the_caller_and_nothing_has_changed(tmp_path: Path, echo: tuple[str, int]) -> None:
    """The limit on the size of files stands for it: SQLite and the file system say the same."""
    managed = Managed(tmp_path, echo)
    managed.start()
    try:
        managed.serving()
        before = managed.api.get("export").json
        unlimited = resource.prlimit(managed.control, resource.RLIMIT_FSIZE)
        resource.prlimit(managed.control, resource.RLIMIT_FSIZE, (16 * 1024, unlimited[1]))
        failed = last(lambda: managed.api.patch("listeners/l", {"tags": {"n": "x" * 100}}))
        assert failed.status in (500, 507), failed.body
        assert managed.api.get("export").json == before
        resource.prlimit(managed.control, resource.RLIMIT_FSIZE, unlimited)
        assert managed.api.patch("listeners/l", {"tags": {"n": "1"}}).status == 200
    finally:
        managed.end()


def last(ask: Any) -> Answered:
    """The first answer that is a failure: what fits into pages that are there already still fits."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer: Answered = ask()
        if answer.status >= 500:
            return answer
    raise AssertionError("the disk never was full")

"""What commands do on a terminal and nowhere else: ask, colour, and give a sign of life."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_api import FakeApi, fake_api
from support.terminal import terminal

HTTPS = {"name": "https", "address": "0.0.0.0", "port": 443, "state": {"status": "Running", "connections": 12}}  # noqa: S104
GONE = {"change": {"lines": ["- listener https"]}}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.delenv("FASTNLB_URL", raising=False)
    with fake_api(tmp_path) as served:
        served.on("GET", "/api/v1/listeners/https", HTTPS)
        served.on("DELETE", "/api/v1/listeners/https", GONE)
        yield served


def methods(api: FakeApi) -> list[str]:
    return [each.method for each in api.asked]


def test_delete_asks_and_says_what_is_lost(api: FakeApi) -> None:
    with terminal("listener", "delete", "https", "--admin", str(api.socket)) as shown:
        shown.wait_for("delete listener https? 0.0.0.0:443 takes no new clients; it has 12 connections now [y/N]")
        shown.press("n\n")
        assert shown.wait_exit() == 1
        assert b"nothing has changed" in shown.drawn
    assert methods(api) == ["GET"]
    with terminal("listener", "delete", "https", "--admin", str(api.socket)) as shown:
        shown.wait_for("[y/N]")
        shown.press("y\n")
        assert shown.wait_exit() == 0
        assert b"- listener https" in shown.drawn
    assert methods(api) == ["GET", "GET", "DELETE"]


def test_ctrl_c_at_a_question_is_a_no(api: FakeApi) -> None:
    with terminal("listener", "delete", "https", "--admin", str(api.socket)) as shown:
        shown.wait_for("[y/N]")
        shown.interrupt()
        assert shown.wait_exit() == 130
    assert methods(api) == ["GET"]


def test_yes_does_not_ask(api: FakeApi) -> None:
    with terminal("listener", "delete", "https", "--yes", "--admin", str(api.socket)) as shown:
        assert shown.wait_exit() == 0
    assert methods(api) == ["DELETE"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/api/v1/apply", ["apply", "-f", "FILE"]),
        ("/api/v1/revisions/3/restore", ["history", "restore", "3"]),
    ],
)
def test_what_removes_things_shows_them_first(api: FakeApi, tmp_path: Path, url: str, words: list[str]) -> None:
    (tmp_path / "all.yaml").write_text("listeners: []\n")
    api.on("POST", url, GONE)
    typed = [word.replace("FILE", str(tmp_path / "all.yaml")) for word in words]
    with terminal(*typed, "--admin", str(api.socket)) as shown:
        shown.wait_for("go on? [y/N]")
        assert b"- listener https" in shown.drawn
        shown.press("n\n")
        assert shown.wait_exit() == 1
    assert [each.query for each in api.asked] == [[("dry_run", "true")]]
    with terminal(*typed, "--admin", str(api.socket)) as shown:
        shown.wait_for("go on? [y/N]")
        shown.press("y\n")
        assert shown.wait_exit() == 0
    assert api.last.query == []


def test_a_table_has_colours_and_is_whole(api: FakeApi) -> None:
    name = "x" * 100
    api.on("GET", "/api/v1/listeners", {"items": [{**HTTPS, "name": name}], "next": None})
    with terminal("listener", "list", "--admin", str(api.socket), columns=60) as shown:
        assert shown.wait_exit() == 0
    assert b"\x1b[32mrunning" in shown.drawn
    assert name.encode() in shown.drawn
    with terminal("listener", "list", "--admin", str(api.socket), NO_COLOR="1") as shown:
        assert shown.wait_exit() == 0
    assert b"\x1b[32m" not in shown.drawn


def test_what_takes_long_shows_a_sign_of_life(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = threading.Event()
    answer = FakeApi.answer

    def slow(self: FakeApi, request: Any) -> tuple[int, Any]:
        waited.wait(30)
        return answer(self, request)

    monkeypatch.setattr(FakeApi, "answer", slow)
    with terminal("listener", "show", "https", "--admin", str(api.socket)) as shown:
        shown.wait_for("waiting for the daemon ...")
        waited.set()
        assert shown.wait_exit() == 0
        assert shown.drawn.index(b"\x1b[2K") < shown.drawn.index(b"443")

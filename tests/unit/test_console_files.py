"""The console as files: what may be served, how it is sent, and that other people's libraries are as they came."""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import json
import re
import tomllib
from typing import Any

import pytest
from starlette.applications import Starlette
from support.procs import ROOT

from fastnlb.console import HERE, files
from fastnlb.control.api.console import HEADERS, routes

VENDOR = HERE / "vendor"


def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """What the application answers: status, headers, body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    listed = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
    }
    more = {
        "headers": listed,
        "scheme": "http",
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
        "http_version": "1.1",
    }
    asyncio.run(Starlette(routes=routes())({**scope, **more}, receive, send))
    got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, b"".join(each.get("body", b"") for each in sent[1:])


def test_the_vendored_files_are_those_that_were_published() -> None:
    listed = json.loads((VENDOR / "vendor.json").read_text())
    found = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()} - {"vendor.json"}
    assert found == set(listed)
    for name, about in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == about["sha256"], name
        assert (VENDOR / name).parent.joinpath("LICENSE.txt").exists()


def test_every_file_is_package_data() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "fastnlb.console"
    ]
    patterns = [pattern.replace("**/", "*") for pattern in data]
    assert [name for name in files() if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []


def test_everything_a_module_or_page_names_is_there() -> None:
    named = re.compile(r'(?:from |import |import\()"(\.[^"]+)"')
    for name, file in files().items():
        if name.startswith("js/"):
            for target in named.findall(file.body.decode()):
                assert (HERE / name).parent.joinpath(target).resolve().is_file(), f"{name} names {target}"
    for target in re.findall(r'(?:href|src)="([^"]+)"', files()["index.html"].body.decode()):
        assert target in files(), target


def test_nothing_is_from_another_host_and_no_text_becomes_markup_or_code() -> None:
    for name, file in files().items():
        if name.startswith(("js/", "css/", "index")):
            text = file.body.decode()
            assert re.findall(r"\w+://(?!\$\{host\})", text) == [], name
            assert "url(" not in text, name
            assert not re.search(r"innerHTML|dangerouslySet|\beval\b|new Function|\sstyle=", text), name


@pytest.mark.parametrize("path", ["/", "/console"])
def test_the_way_there(path: str) -> None:
    status, headers, _ = ask(path)
    assert (status, headers["location"]) == (307, "/console/")


def test_the_page_may_do_only_what_it_needs() -> None:
    status, headers, body = ask("/console/")
    assert status == 200 and body == files()["index.html"].body
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert (
        policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    )
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_every_answer_has_the_headers() -> None:
    for path in ("/", "/console/", "/console/js/main.js", "/console/icon.svg"):
        got = ask(path)[1]
        assert all(got[name.lower()] == value for name, value in HEADERS.items()), path


def test_what_a_browser_has_already_is_not_sent_again() -> None:
    _, headers, _ = ask("/console/js/main.js")
    assert headers["cache-control"] == "no-cache"
    status, again, body = ask("/console/js/main.js", If_None_Match=headers["etag"])
    assert (status, body, again["etag"]) == (304, b"", headers["etag"])
    vendored = next(name for name in files() if name.endswith("uPlot.esm.js"))
    assert "immutable" in ask(f"/console/{vendored}")[1]["cache-control"]
    assert ask("/console/vendor/vendor.json")[1]["cache-control"] == "no-cache", "there is no version in its path"


@pytest.mark.parametrize(
    "path",
    [
        "__init__.py",
        "../__init__.py",
        "js/../../__init__.py",
        "/etc/passwd",
        "js",
        "js/",
        "vendor/..",
        "INDEX.HTML",
        "\x00",
    ],
)
def test_only_files_of_the_console_are_there(path: str) -> None:
    assert ask(f"/console/{path}")[0] == 404


def test_it_is_read_and_not_written() -> None:
    assert ask("/console/", "HEAD")[0] == 200
    assert ask("/console/", "POST")[0] == 405

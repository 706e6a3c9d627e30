"""Who may use the API, from where, and with how much: tokens, roles, TLS, foreign pages, bodies, read-only modes."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.api import Api, Managed
from support.procs import Program, free_port, wait_for
from support.site import HEAD, Site

from fastnlb.control.api.gate import MOST_ATTEMPTS
from fastnlb.control.api.intake import MOST_BODY
from fastnlb.control.api.server import MOST_CLIENTS


@pytest.fixture
def managed(tmp_path: Path, echo: tuple[str, int]) -> Iterator[Managed]:
    made = Managed(tmp_path, echo)
    yield made
    made.end()


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "fastnlb", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def token(managed: Managed, name: str, role: str) -> str:
    made = command("token", "create", name, "--role", role, "--tokens-file", managed.folder / "tokens")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def guarded(managed: Managed, more: str = "") -> tuple[str, str]:
    """It starts with a token that may read and one that may write."""
    tokens = token(managed, "viewer", "read"), token(managed, "robot", "write")
    managed.settings(f"admin: {{listen: '127.0.0.1:{managed.port}', tokens_file: tokens{more}}}\n")
    managed.start()
    return tokens


def with_tls(managed: Managed) -> str:
    """It starts, with a certificate of its own for its port and a token that may write."""
    made = token(managed, "robot", "write")
    head = "certificates: [{name: www, certificate: www.pem, private_key: www.key}]\n"
    listen = f"admin: {{listen: '127.0.0.1:{managed.port}', tokens_file: tokens, certificate: www}}\n"
    managed.settings(head + listen)
    managed.start()
    return made


# Tokens


def test_tokens_say_who_may_read_and_who_may_write(managed: Managed) -> None:
    viewer, robot = guarded(managed)
    group = managed.group()
    nobody = managed.api.get("listeners")
    assert (nobody.status, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert Api(managed.port, "fnlb_wrong").get("listeners").status == 401
    assert Api(managed.port, viewer).get("listeners").status == 200
    denied = Api(managed.port, viewer).post("server-groups", group)
    assert (denied.status, denied.problem["code"]) == (403, "Forbidden.NoPermission")
    assert Api(managed.port, viewer).post("stop").status == 403
    assert Api(managed.port, robot).post("server-groups", group).status == 201
    assert Api(managed.port, viewer).get("revisions").json["items"][0]["author"] == "robot"
    output = managed.running.output()
    assert viewer not in output and robot not in output
    assert managed.local.post("server-groups", managed.group("h")).status == 201  # the admin socket needs none
    assert managed.local.get("revisions").json["items"][0]["author"].startswith("uid:")


def test_files_are_read_for_the_admin_socket_alone(managed: Managed) -> None:
    """What is wrong with a file says what is in it."""
    _, robot = guarded(managed)
    secret = managed.folder / "secret"
    secret.write_text("hunter2")
    refused = Api(managed.port, robot).get(f"plan?config={secret}")
    assert refused.status == 403 and b"hunter2" not in refused.body
    assert managed.local.get(f"plan?config={secret}").status == 409
    assert managed.local.get(f"plan?config={managed.file}").status == 200


def test_a_file_that_never_ends_holds_nobody_up(managed: Managed) -> None:
    managed.start()
    pipe = managed.folder / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(managed.local.get, f"plan?config={pipe}")
        writer = os.open(pipe, os.O_WRONLY)  # returns when it is being read
        assert managed.api.get("/healthz").status == 200
        assert not waiting.done()
        os.close(writer)
        assert waiting.result(30).status == 409


def test_a_revoked_token_is_refused_from_the_next_request_on(managed: Managed) -> None:
    viewer, _ = guarded(managed)
    assert Api(managed.port, viewer).get("listeners").status == 200
    assert command("token", "revoke", "viewer", "--tokens-file", managed.folder / "tokens").returncode == 0
    assert Api(managed.port, viewer).get("listeners").status == 401


def test_who_guesses_tokens_is_not_listened_to_for_a_while(managed: Managed) -> None:
    viewer, _ = guarded(managed)
    for _ in range(MOST_ATTEMPTS):
        assert Api(managed.port, "fnlb_guess").get("listeners").status == 401
    limited = Api(managed.port, viewer).get("listeners")
    assert limited.status == 429
    assert 1 <= int(limited.headers["retry-after"]) <= 61
    assert managed.local.get("listeners").status == 200


def test_what_a_probe_asks_needs_no_token(managed: Managed) -> None:
    guarded(managed)
    assert managed.api.get("/healthz").body == b"ok\n"
    assert managed.api.get("/readyz").body == b"ready\n"
    assert managed.api.get("/readyzz").status == 401


def test_tls_is_spoken_with_a_certificate_of_the_daemon_and_follows_its_renewal(managed: Managed) -> None:
    managed.file.write_text("")
    tokens = with_tls(managed)

    def trusting(pem: str) -> Api:
        context = ssl.create_default_context(cadata=pem)
        context.check_hostname = False
        return Api(managed.port, tokens, context)

    first = (managed.folder / "www.pem").read_text()
    assert trusting(first).get("certificates/www").json["state"]["names"] == ["first.test"]
    managed.new_certificate("second.test")
    second = (managed.folder / "www.pem").read_text()
    pair = {"certificate_pem": second, "private_key_pem": (managed.folder / "www.key").read_text()}
    assert trusting(first).patch("certificates/www", pair).status == 200
    assert trusting(second).get("/healthz").status == 200
    assert trusting(second).delete("certificates/www").problem["code"] == "ResourceInUse.Certificate"
    with pytest.raises(ssl.SSLError):
        trusting(first).get("/healthz")
    with socket.create_connection(("127.0.0.1", managed.port), timeout=10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not sock.recv(100).startswith(b"HTTP/1.1 200")


def test_a_network_without_tokens_is_refused_before_the_start(managed: Managed) -> None:
    managed.settings("admin: {listen: '0.0.0.0:1'}\n")
    refused = command(*managed.command[2:])
    assert refused.returncode == 1
    assert "tokens_file is required" in refused.stderr
    managed.settings(f"admin: {{listen: '0.0.0.0:{managed.port}', tokens_file: nothing}}\n")
    refused = command(*managed.command[2:])
    assert refused.returncode == 1
    assert "fastnlb.yaml:6:" in refused.stderr and "cannot read" in refused.stderr


# Browsers


def test_without_tokens_only_loopback_names_are_answered(managed: Managed) -> None:
    managed.start()
    for host, status in (
        ("localhost", 200),
        (f"127.0.0.1:{managed.port}", 200),
        ("[::1]:80", 200),
        ("evil.test", 403),
    ):
        assert managed.api.get("status", Host=host).status == status
    assert managed.local.get("status", Host="evil.test").status == 200


def test_a_page_of_another_origin_is_refused(managed: Managed) -> None:
    managed.start()
    group = managed.group()
    assert managed.api.post("server-groups", group, Origin="http://evil.test").status == 403
    assert managed.api.post("server-groups", group, Origin="null").status == 403
    own = {"Host": f"localhost:{managed.port}", "Origin": f"http://localhost:{managed.port}"}
    assert managed.api.post("server-groups", group, **own).status == 201


# What is sent


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'{"name": "a", "name": "b"}', "given twice"),
        (b'{"name": NaN}', "no number"),
        (b"\xff\xfe{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"name": 7}', "name"),
        (b'{"name": "../../etc/passwd"}', "name takes"),
        (b'{"name": "a", "servers": {"address": 1}}', "servers takes a list"),
        (b'{"name": "\\ud800"}', "name takes"),
    ],
)
def test_bodies_that_make_no_sense_are_refused(managed: Managed, raw: bytes, words: str) -> None:
    managed.start()
    refused = managed.api.request("POST", "server-groups", raw=raw)
    assert refused.status == 400
    assert words in refused.problem["detail"]
    assert managed.api.get("revisions").json["items"] == []


def test_a_body_of_another_type_or_too_large_is_refused(managed: Managed) -> None:
    managed.start()
    assert managed.api.request("POST", "server-groups", raw=b"name=a", Content_Type="text/plain").status == 415
    large = managed.api.request("POST", "server-groups", raw=b'{"name":"' + b"a" * MOST_BODY + b'"}')
    assert large.status == 413
    assert managed.api.get("/healthz").status == 200


def test_paths_and_methods_that_are_not_there_are_said_so(managed: Managed) -> None:
    managed.start()
    assert managed.api.get("nothing").problem["detail"] == "there is no /api/v1/nothing"
    assert managed.api.request("PUT", "listeners", {}).status == 405
    assert managed.api.get("reload").status == 405
    assert managed.api.get("certificates/..%2f..%2fstate").status == 404
    assert managed.api.get("revisions/x").status == 400


def test_a_client_that_never_ends_its_request_takes_nobodys_place(managed: Managed) -> None:
    managed.start()
    with socket.create_connection(("127.0.0.1", managed.port), timeout=10) as slow:
        slow.sendall(b"POST /api/v1/server-groups HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        assert managed.api.get("/healthz").status == 200
        with socket.create_connection(("127.0.0.1", managed.port), timeout=10) as noise:
            noise.sendall(b"\x16\x03\x01\x02\x00" * 100 + b"\r\n\r\n")
            assert noise.recv(1000).startswith(b"HTTP/1.1 400")


def exchanged(port: int, *pieces: bytes) -> bytes:
    """All that is answered until the other side hangs up; the next piece is sent once there is an answer."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for piece in pieces:
            sock.sendall(piece)
            answer += sock.recv(100_000)
        with contextlib.suppress(ConnectionError):
            while more := sock.recv(100_000):
                answer += more
    return answer


@pytest.mark.parametrize("header", [b"Host: [", b"Host: localhost\r\nOrigin: http://[::1"])
def test_a_host_that_is_none_is_refused_and_no_fault(managed: Managed, header: bytes) -> None:
    managed.start()
    answer = exchanged(managed.port, b"GET /healthz HTTP/1.1\r\n" + header + b"\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403")


def test_a_client_that_goes_in_the_middle_of_its_body_is_no_fault(managed: Managed) -> None:
    managed.start()
    with socket.create_connection(("127.0.0.1", managed.port), timeout=10) as sock:
        head = b"POST /api/v1/server-groups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(b'{"name"')
    assert managed.api.get("/healthz").status == 200
    assert managed.count("failed") == 0


def test_noise_behind_an_answer_ends_the_connection_and_nothing_else(managed: Managed) -> None:
    managed.start()
    begin = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchanged(managed.port, begin, b"zzzz\r\n").startswith(b"HTTP/1.1 405")
    assert managed.api.get("/healthz").status == 200


def test_what_answers_get_answers_head_and_no_answer_is_kept(managed: Managed) -> None:
    managed.start()
    asked, told = managed.api.get("status"), managed.api.request("HEAD", "status")
    assert (told.status, told.body) == (200, b"")
    assert abs(int(told.headers["content-length"]) - len(asked.body)) < 100
    assert asked.headers["cache-control"] == "no-store"
    counted = managed.api.get("/metrics").body.decode()
    for method in ("GET", "HEAD"):
        assert f'route="/api/v1/status",method="{method}",status="200"' in counted
    refused = managed.api.request("PUT", "listeners", {})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, POST")


def test_clients_of_the_port_have_so_many_places_and_the_silent_ones_make_room(managed: Managed) -> None:
    managed.start()
    with contextlib.ExitStack() as clients:
        for _ in range(MOST_CLIENTS + 50):
            sock = clients.enter_context(socket.create_connection(("127.0.0.1", managed.port), timeout=10))
            sock.sendall(b"GET /heal")
        assert managed.local.get("/healthz").status == 200
        assert managed.api.get("/healthz").status == 200
        assert len(list(Path(f"/proc/{managed.control}/fd").iterdir())) < MOST_CLIENTS + 50


def test_clients_that_begin_no_tls_make_room_and_lose_nobody_a_connection(managed: Managed) -> None:
    robot = with_tls(managed)
    context = ssl._create_unverified_context()  # noqa: S323 - not what this is about
    with contextlib.ExitStack() as clients:
        known = http.client.HTTPSConnection("127.0.0.1", managed.port, context=context, timeout=10)
        clients.callback(known.close)
        request = ("GET", "/api/v1/status", None, {"Authorization": f"Bearer {robot}"})
        assert asked_again(known, request) == 200
        for _ in range(MOST_CLIENTS + 50):
            clients.enter_context(socket.create_connection(("127.0.0.1", managed.port), timeout=10))
        came = http.client.HTTPSConnection("127.0.0.1", managed.port, context=context, timeout=10)
        clients.callback(came.close)
        assert asked_again(came, request) == 200
        assert known.sock is not None, "it is the connection of before"
        assert asked_again(known, request) == 200
        assert len(list(Path(f"/proc/{managed.control}/fd").iterdir())) < MOST_CLIENTS + 50


def asked_again(client: http.client.HTTPSConnection, request: tuple[str, str, None, dict[str, str]]) -> int:
    client.request(*request)
    answer = client.getresponse()
    answer.read()
    return answer.status


# Modes that change nothing


def test_with_a_file_the_api_shows_and_says_where_to_change(tmp_path: Path, echo: tuple[str, int]) -> None:
    site, admin, port = Site(tmp_path, echo), free_port(), free_port()
    site.write(port, tls=free_port(), head=HEAD + f"admin: {{listen: '127.0.0.1:{admin}'}}\n")
    site.start()
    try:
        api = Api(admin)
        status = api.get("status").json
        assert (status["mode"], status["writable"]) == ("file", False)
        assert str(site.file) in status["read_only_reason"]
        assert {each["name"] for each in api.get("listeners").json["items"]} == {"l0", "tls"}
        assert api.get("certificates/www").json["state"]["names"] == ["first.test"]
        assert b"PRIVATE KEY" not in api.get("certificates/www").body
        refused = api.patch("listeners/l0", {"cps": 1})
        assert (refused.status, refused.problem["code"]) == (409, "OperationDenied.ReadOnly")
        assert str(site.file) in refused.problem["detail"]
        assert api.get("revisions").status == 409
        site.write(port, head=HEAD + f"admin: {{listen: '127.0.0.1:{admin}'}}\n")
        assert api.post("reload").json["lines"] == ["- listener tls"]
        assert {each["name"] for each in api.get("listeners").json["items"]} == {"l0"}
    finally:
        site.running.kill()


def test_with_a_file_an_heir_of_the_control_process_shows_what_is_served(
    tmp_path: Path, echo: tuple[str, int]
) -> None:
    """Not what the daemon was started with, and not what the file says by now."""
    site, admin, port = Site(tmp_path, echo), free_port(), free_port()
    head = HEAD + f"admin: {{listen: '127.0.0.1:{admin}'}}\n"
    site.write(free_port(), head=head)
    site.start()
    try:
        api = Api(admin)
        site.write(port, head=head)
        assert api.post("reload").status == 200
        site.write(free_port(), head=head)
        for text in (site.file.read_text(), "]"):
            site.file.write_text(text)
            before = site.control
            os.kill(before, signal.SIGKILL)
            wait_for(lambda before=before: site.control != before, "an heir")
            (listener,) = api.get("listeners").json["items"]
            assert listener["port"] == port
            assert str(site.file) in api.get("status").json["read_only_reason"]
    finally:
        site.running.kill()


def test_quick_shows_what_it_was_told(tmp_path: Path, echo: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    port = free_port()
    words = ["--listen", f"127.0.0.1:{port}", "--server", f"{echo[0]}:{echo[1]}", "--self-signed"]
    program = Program(["-m", "fastnlb", "quick", *words], tmp_path / "output", {})
    try:
        program.wait_line("ready")
        api = Api(tmp_path / "fastnlb" / str(program.pid) / "admin.sock")
        (listener,) = api.get("listeners").json["items"]
        assert (listener["port"], listener["protocol"], listener["certificate"]) == (port, "TCPSSL", "quick")
        assert api.get("certificates/quick").json["state"]["self_signed"] is True
        assert api.get("status").json["mode"] == "quick"
        assert api.delete("listeners/quick").problem["code"] == "OperationDenied.ReadOnly"
    finally:
        program.kill()

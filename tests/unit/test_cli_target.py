"""Which daemon a command asks, and as whom."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from support.fake_api import fake_api

from fastnlb.cli.main import main
from fastnlb.tls.material import self_signed

EMPTY = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"items":[],"next":null}\r\n'


@pytest.fixture(autouse=True)
def nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for variable in ("FASTNLB_URL", "FASTNLB_TOKEN", "FASTNLB_TOKEN_FILE", "FASTNLB_CA_FILE"):
        monkeypatch.delenv(variable, raising=False)


def listing(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["listener", "list", *arguments], catch_exceptions=False)


@contextmanager
def one_answer(heard: list[bytes], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that answers the first client with an empty list."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                with context.wrap_socket(client, server_side=True) if context else client as sock:
                    heard.append(sock.recv(65536))
                    sock.sendall(EMPTY)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
    thread.join()


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    (tmp_path / "token").write_text("fnlb_secret\n")
    return str(tmp_path / "token")


def test_a_token_comes_from_a_file(token_file: str) -> None:
    heard: list[bytes] = []
    with one_answer(heard) as port:
        result = listing("--url", f"http://127.0.0.1:{port}/base/", "--token-file", token_file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert heard[0].startswith(b"GET /base/api/v1/listeners?limit=1000 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer fnlb_secret\r\n" in heard[0]


def test_url_and_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with one_answer(heard) as port:
        monkeypatch.setenv("FASTNLB_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("FASTNLB_TOKEN", "fnlb_other")
        assert listing().exit_code == 0
    assert b"\r\nAuthorization: Bearer fnlb_other\r\n" in heard[0]


def test_what_is_typed_counts_more_than_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTNLB_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FASTNLB_TOKEN", "fnlb_other")
    with fake_api(tmp_path) as api:
        api.on("GET", "/api/v1/listeners", {"items": [], "next": None})
        assert listing("--admin", str(api.socket)).exit_code == 0
        assert "Authorization" not in api.last.headers
        assert listing("--admin", str(api.socket), "--url", "http://127.0.0.1:1").exit_code == 2


def test_tls_is_verified_against_the_given_authorities(tmp_path: Path) -> None:
    chain, key = self_signed(["127.0.0.1"])
    (tmp_path / "pair.pem").write_bytes(chain + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    with one_answer([], context) as port:
        result = listing("--url", f"https://127.0.0.1:{port}", "--ca-file", str(tmp_path / "pair.pem"))
    assert result.exit_code == 0
    with one_answer([], context) as port:
        result = listing("--url", f"https://127.0.0.1:{port}")
    assert result.exit_code == 4
    assert "its certificate is not accepted: self-signed certificate" in result.stderr


@pytest.mark.parametrize(
    "url", ["127.0.0.1:80", "ftp://a", "http://", "http://a:x", "http://a:99999", "http://a?b", "http://me:it@a"]
)
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    result = listing("--url", url)
    assert result.exit_code == 2
    assert "--url: " in result.stderr


@pytest.mark.parametrize("text", ["", "two words", "line\nline", "\x00", "ü"])
def test_a_file_without_a_token_is_wrong_usage(token_file: str, text: str) -> None:
    Path(token_file).write_text(text)
    result = listing("--url", "http://127.0.0.1:1", "--token-file", token_file)
    assert result.exit_code == 2
    assert "holds no token" in result.stderr


def test_a_token_is_not_sent_in_the_clear_without_a_word(token_file: str) -> None:
    result = listing("--url", "http://0.0.0.0:1", "--token-file", token_file)
    assert result.exit_code == 4
    assert "the token is sent without encryption" in result.stderr


def test_policies_are_those_of_the_daemon_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        "name": "modern",
        "tls_versions": ["TLSv1.3"],
        "ciphers": ["TLS_AES_128_GCM_SHA256"],
        "groups": [],
        "state": {"system": False, "used_by": ["https"]},
    }

    def policy(*words: str) -> Result:
        return CliRunner().invoke(main, ["security-policy", *words], catch_exceptions=False)

    with fake_api(tmp_path) as api:
        api.on("GET", "/api/v1/security-policies", {"items": [own], "next": None})
        api.on("GET", "/api/v1/security-policies/modern", own)
        admin = ["--admin", str(api.socket)]
        assert policy("list", *admin).output.splitlines()[1].split()[-3:] == ["of", "the", "daemon"]
        assert policy("show", "modern", *admin).output.splitlines()[-1] == "used by       https"
        assert "modern" not in policy("list").output  # it is no daemon of this user's
        entry = tmp_path / "fastnlb" / str(Path("/proc/self").readlink())
        entry.symlink_to(tmp_path)
        assert "modern" in policy("list").output
        assert "modern" not in policy("list", "-c", own_file(tmp_path)).output


def own_file(folder: Path) -> str:
    (folder / "fastnlb.yaml").write_text("version: 1\n")
    return str(folder / "fastnlb.yaml")


def completed(begin: str, *words: str) -> list[str]:
    made = ShellComplete(main, {}, "fastnlb", "_FASTNLB_COMPLETE")
    return [each.value for each in made.get_completions(["listener", "show", *words], begin)]


def test_the_shell_completes_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_api(tmp_path) as api:
        api.on("GET", "/api/v1/listeners", {"items": [{"name": "https"}, {"name": "a-http"}], "next": None})
        assert completed("ht", "--admin", str(api.socket)) == ["https"]
    assert completed("ht", "--admin", str(api.socket)) == []
    heard: list[bytes] = []
    with one_answer(heard) as port:
        monkeypatch.setenv("FASTNLB_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("FASTNLB_TOKEN", "fnlb_other")
        assert completed("ht") == []
    assert b"Bearer fnlb_other" in heard[0]

"""The access log of the real program: a line for each connection that ended, with what it was."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.access_log import read, wait_lines
from support.certs import CLIENT
from support.logged_site import plain, port_of, secured
from support.procs import free_port, taken_port
from support.site import connection, serves
from support.tls_client import TlsClient, reset
from support.tls_site import TlsSite


@pytest.fixture
def site(tmp_path: Path, echo: tuple[str, int]) -> Iterator[TlsSite]:
    made = TlsSite(tmp_path, echo)
    yield made
    made.end()


@pytest.fixture
def log(site: TlsSite) -> Path:
    return site.folder / "access.log"


def test_a_plain_connection(site: TlsSite, log: Path) -> None:
    port = plain(site)
    before = datetime.now(UTC)
    with connection(port) as exchange:
        exchange(b"0123456789")
    (line,) = wait_lines(log, 1)
    began = datetime.fromisoformat(line["time"])
    assert before - timedelta(milliseconds=2) <= began <= datetime.now(UTC)
    assert (line["listener"], line["destination"], line["peer"]) == ("l0", f"127.0.0.1:{port}", None)
    assert line["client"].startswith("127.0.0.1:")
    assert line["server"] == "{}:{}".format(*site.server)
    assert (line["bytes_up"], line["bytes_down"]) == (15, 15)
    assert (line["closed"], line["fault"], line["tls"], line["handshake_ms"]) == ("clean", None, None, None)
    assert 0 < line["connect_ms"] < line["duration_ms"]
    assert line["pid"] in site.workers
    assert log.stat().st_mode & 0o777 == 0o640 & ~0o022


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_tls_connection_and_one_that_resumes_it(site: TlsSite, log: Path, version: str) -> None:
    port = secured(site, alpn_policy="HTTP2Preferred")
    leaf = json.loads((site.folder / "fastnlb.yaml").read_text())["certificates"][0]["certificate"]
    serial = subprocess.run(
        ["openssl", "x509", "-noout", "-serial", "-in", str(site.folder / leaf)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    first = site.visit(port, version, name=b"a.test", alpn=[b"h2", b"http/1.1", b"x" * 60])
    site.visit(port, version, name=b"a.test", resume=first)
    whole, resumed = wait_lines(log, 2)
    tls = whole["tls"]
    assert (tls["version"], tls["server_name"], tls["resumed"]) == (version, "a.test", False)
    assert tls["cipher"] == first.tls.get_cipher_name()
    assert tls["group"]
    assert (tls["alpn_offered"], tls["alpn"]) == (["h2", "http/1.1"], "h2"), "what does not fit is left out"
    assert "serial=" + tls["certificate_serial"] == serial.strip()
    assert {tls[name] for name in ("client_subject", "client_serial", "alert_sent", "alert_received")} == {None}
    assert (whole["bytes_up"], whole["bytes_down"], whole["closed"]) == (5, 5, "clean")
    assert 0 < whole["handshake_ms"] < whole["duration_ms"]
    assert (resumed["tls"]["resumed"], resumed["tls"]["certificate_serial"]) == (True, None)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_with_a_certificate(site: TlsSite, log: Path, version: str) -> None:
    port = secured(site, ca_certificate="staff")
    alice = site.root.issue(common_name="Smith, Alice", usages=[CLIENT])  # type: ignore[attr-defined]
    first = site.visit(port, version, name=b"a.test", identity=alice)
    site.visit(port, version, name=b"a.test", resume=first)
    for line in wait_lines(log, 2):
        assert line["tls"]["client_subject"] == r"CN=Smith\, Alice"
        assert int(line["tls"]["client_serial"], 16) == alice.certificate.serial_number
    assert read(log)[1]["tls"]["resumed"]


def test_handshakes_that_fail(site: TlsSite, log: Path) -> None:
    port = secured(site, ca_certificate="staff")
    address = ("127.0.0.1", port)
    # No cipher in common; no certificate shown; ours not accepted; gone after the hello; never said a word.
    TlsClient(address, "TLSv1.2", name=b"a.test", ciphers="DHE-RSA-AES128-SHA256").refused()
    TlsClient(address, "TLSv1.3", name=b"a.test").refused()
    doubting = subprocess.run(
        [sys.executable, "-c", "import socket,ssl,sys;ssl.create_default_context().wrap_socket("
         f"socket.create_connection({address!r}),server_hostname='a.test')"],
        capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert b"CERTIFICATE_VERIFY_FAILED" in doubting.stderr
    socket.create_connection(address).close()
    lines = wait_lines(log, 4)
    assert {line["closed"] for line in lines} == {"handshake"}
    assert {(line["server"], line["handshake_ms"], line["connect_ms"]) for line in lines} == {(None, None, None)}
    alerts = [(each["fault"], each["tls"]["alert_sent"], each["tls"]["alert_received"]) for each in lines]
    assert alerts == [
        ("handshake", "handshake_failure", None),
        ("handshake", "certificate_required", None),
        ("handshake", None, "unknown_ca"),
        ("aborted", None, None),
    ]
    assert {line["tls"]["version"] for line in lines} == {None}
    assert [line["tls"]["server_name"] for line in lines] == ["a.test"] * 3 + [None]


def test_who_a_proxy_header_names_is_the_client(site: TlsSite, log: Path) -> None:
    port, trusted = free_port(), {"trusted": ["127.0.0.0/8"]}
    site.configure(
        listeners=[site.listener("p", port, protocol="TCP", certificate=None, accept_proxy_protocol=trusted)],
        logging={"access_log": "access.log"},
        workers=1,
    )
    site.start()
    for header in (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n", b"PROXY UNKNOWN\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            ours = "{}:{}".format(*sock.getsockname())
            sock.sendall(header + b"hello")
            assert sock.recv(5) == b"hello"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, pytest.raises(ConnectionError):
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.recv(1)
    lines = wait_lines(log, 3)
    (named,) = (line for line in lines if line["peer"])
    (refused,) = (line for line in lines if line["closed"] == "proxy")
    (unknown,) = (line for line in lines if line not in (named, refused))
    assert (named["client"], named["destination"]) == ("[2001:db8::1]:1234", "[2001:db8::2]:443")
    assert named["peer"].startswith("127.0.0.1:")
    assert (unknown["client"], unknown["peer"], unknown["bytes_up"]) == (ours, None, 5)
    assert (refused["closed"], refused["fault"], refused["server"]) == ("proxy", "proxy", None)


def test_a_client_without_a_server(site: TlsSite, log: Path) -> None:
    with taken_port() as unused:
        pass
    port = plain(site, server=("127.0.0.1", unused))
    assert not serves(port)
    (line,) = wait_lines(log, 1)
    assert (line["closed"], line["fault"], line["server"]) == ("refused", "connect", None)
    assert port_of(line["client"]), "also of one that is gone"


def test_a_client_that_resets_and_one_that_idles(site: TlsSite, log: Path) -> None:
    port = free_port()
    site.configure(
        listeners=[site.listener("i", port, protocol="TCP", certificate=None, idle_timeout=10)],
        logging={"access_log": "access.log"},
        workers=1,
    )
    site.start()
    idle = socket.create_connection(("127.0.0.1", port), timeout=20)
    with connection(port) as _:
        pass
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    mine = "{}:{}".format(*sock.getsockname())
    reset(sock)
    assert idle.recv(1) == b""
    idle.close()
    ends = {line["closed"]: line for line in wait_lines(log, 3)}
    assert set(ends) == {"idle", "clean", "reset"}
    assert ends["idle"]["duration_ms"] >= 10_000
    assert ends["reset"]["client"] == mine


def test_a_server_at_a_unix_socket(site: TlsSite, log: Path) -> None:
    path = site.folder / "app.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        port = free_port()
        site.configure(
            server_groups=[{"name": "g", "servers": [{"address": f"unix:{path}"}]}],
            listeners=[site.listener("u", port, protocol="TCP", certificate=None)],
            logging={"access_log": "access.log"},
        )
        site.start()
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            server.accept()[0].close()
    (line,) = wait_lines(log, 1)
    assert line["server"] == f"unix:{path}"

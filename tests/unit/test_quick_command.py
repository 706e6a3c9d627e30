"""`fastnlb quick`: from options to a Snapshot; what it serves is for the process tests."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fastnlb.cli import quick as module
from fastnlb.cli.options import Endpoint
from fastnlb.cli.quick import quick_snapshot, trial_certificate
from fastnlb.model import NamedServer, Server, Snapshot
from fastnlb.tls.alpn import POLICIES

HERE = Endpoint("127.0.0.1", 8443)
PLACES = ["--listen", "127.0.0.1:8443", "--server", "127.0.0.1:8080"]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Snapshot]:
    snapshots: list[Snapshot] = []
    monkeypatch.setattr(module, "serve", lambda snapshot, settings, **_: snapshots.append(snapshot) or 0)
    monkeypatch.setattr(module.log, "setup", lambda level, form: None)
    return snapshots


def test_a_trial_certificate_is_fully_described() -> None:
    certificate = trial_certificate(HERE)
    assert certificate.key_type == "ECDSA"
    assert "localhost" in certificate.names
    assert certificate.not_after - certificate.not_before == 30 * 86_400
    assert quick_snapshot(HERE, [HERE], certificate).certificates == (certificate,)


def test_a_server_may_have_a_name(served: list[Snapshot]) -> None:
    wish = ["--protocol", "TCP", "--server", "App.Example.com:81"]
    result = CliRunner().invoke(module.quick, [*PLACES, *wish], catch_exceptions=False)
    assert result.exit_code == 0
    (group,) = served[0].server_groups
    assert group.servers == (Server("127.0.0.1", 8080),)
    assert group.named_servers == (NamedServer("app.example.com", 81),)


@pytest.mark.parametrize("place", ["10.0.0.256:80", "a..b:80", "app.example.com", "[app.example.com]:80"])
def test_what_is_neither_an_address_nor_a_name_is_wrong_usage(served: list[Snapshot], place: str) -> None:
    result = CliRunner().invoke(module.quick, [*PLACES, "--server", place], catch_exceptions=False)
    assert (result.exit_code, served) == (2, [])


@pytest.mark.parametrize("policy", [*POLICIES, None])
def test_the_alpn_policy_reaches_the_listener(served: list[Snapshot], policy: str | None) -> None:
    wish = ["--alpn-policy", policy] if policy else []
    result = CliRunner().invoke(module.quick, [*PLACES, "--self-signed", *wish], catch_exceptions=False)
    assert result.exit_code == 0
    assert [snapshot.listeners[0].alpn_policy for snapshot in served] == [policy]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (["--self-signed", "--alpn-policy", "h2"], "'h2' is not one of 'HTTP1Only'"),
        (["--protocol", "TCP", "--alpn-policy", "HTTP2Only"], "--alpn-policy: a TCP listener has no TLS"),
    ],
)
def test_an_alpn_policy_that_cannot_be_is_wrong_usage(served: list[Snapshot], wish: list[str], says: str) -> None:
    result = CliRunner().invoke(module.quick, [*PLACES, *wish], catch_exceptions=False)
    assert (result.exit_code, served) == (2, [])
    assert says in result.output

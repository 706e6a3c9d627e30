"""preserve_client_ip: what goes with it, and the privilege that the master asks for before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fastnlb import preserving
from fastnlb.config.errors import ConfigError
from fastnlb.config.load import load
from fastnlb.config.plan import plan
from fastnlb.model import TCP, Listener, Server, ServerGroup, Snapshot
from fastnlb.preserving import NotAllowed, check_privileges

KEEPING = ServerGroup("web", (Server("10.0.0.1", 80),), preserve_client_ip=True)
LISTENER = Listener("l", TCP, "127.0.0.1", 80, "web")


def write(folder: Path, servers: str, listener: str) -> Path:
    file = folder / "fastnlb.yaml"
    file.write_text(
        f"version: 1\nserver_groups: [{{name: web, preserve_client_ip: true, servers: [{servers}]}}]\n"
        f"listeners: [{{name: l, protocol: TCP, port: 81, server_group: web, {listener}}}]\n"
    )
    return file


V4, V6 = "{address: 10.0.0.1, port: 80}", "{address: '::1', port: 80}"


@pytest.mark.parametrize(
    ("servers", "listener"),
    [
        (V4, ""),
        (V6, "address: '::'"),
        (f"{V4}, {V6}", ""),
        (f"{V4}, {V6}", "address: '::'"),
        ("", ""),
        (V6, "accept_proxy_protocol: {trusted: [10.0.0.0/8]}"),
    ],
)
def test_it_takes_servers_that_some_client_can_have(tmp_path: Path, servers: str, listener: str) -> None:
    snapshot = load(write(tmp_path, servers, listener)).snapshot
    assert snapshot.server_groups[0].preserve_client_ip


@pytest.mark.parametrize(("servers", "listener"), [(V6, ""), (V4, "address: '::'")])
def test_servers_of_the_other_version_alone_are_refused(tmp_path: Path, servers: str, listener: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, servers, listener))
    (line,) = [problem.render("") for problem in caught.value.problems]
    assert 'own IP version, and "web" has none for this listener [IllegalParam.PreserveClientIpSwitch]' in line


def test_a_change_is_told_in_words() -> None:
    old, new = (Snapshot((), (replace(KEEPING, preserve_client_ip=on),)) for on in (False, True))
    assert plan(old, new).describe() == ["~ server group web: preserve_client_ip false -> true"]


# The privilege


@pytest.fixture
def powerless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preserving, "_may_bind_as_others", lambda: False)


@pytest.mark.usefixtures("powerless")
def test_without_the_privilege_it_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotAllowed, match="server group web: preserve_client_ip needs CAP_NET_ADMIN"):
        check_privileges(Snapshot((LISTENER,), (KEEPING,)))


@pytest.mark.usefixtures("powerless")
def test_nothing_is_asked_for_what_nobody_uses() -> None:
    check_privileges(Snapshot((replace(LISTENER, enabled=False),), (KEEPING,)))
    check_privileges(Snapshot((LISTENER,), (replace(KEEPING, preserve_client_ip=False),)))

"""Servers that are our own listeners: one after the other is fine, in a circle is not."""

from __future__ import annotations

from typing import Any

import pytest
from support.good_config import judge


def listener(name: str, port: int | list[int], group: str, address: str = "127.0.0.1") -> dict[str, Any]:
    where = {"port": port} if isinstance(port, int) else {"port_range": port}
    return {"name": name, "protocol": "TCP", "address": address, "server_group": group, **where}


def group(name: str, *servers: tuple[str, int]) -> dict[str, Any]:
    return {"name": name, "servers": [{"address": address, "port": port} for address, port in servers]}


def found(*blocks: dict[str, Any]) -> list[str]:
    listeners = [block for block in blocks if "protocol" in block]
    groups = [block for block in blocks if "protocol" not in block]
    return judge({"version": 1, "listeners": listeners, "server_groups": groups})


@pytest.mark.parametrize(
    ("address", "server"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.9.9.9"), ("0.0.0.0", "0.0.0.0"), ("::", "::1"), ("::1", "::1")],  # noqa: S104
)
def test_a_listener_that_is_its_own_server(address: str, server: str) -> None:
    (problem,) = found(listener("a", 80, "g", address), group("g", ("10.0.0.1", 80), (server, 80)))
    shown = f"[{server}]:80" if ":" in server else f"{server}:80"
    assert problem == (
        f'listeners[0].server_group: the server {shown} of "g" is it again: a connection would come back for ever'
    )


def test_listeners_that_lead_to_each_other() -> None:
    blocks = [listener("a", 80, "g"), listener("b", 81, "h"), listener("c", 82, "i")]
    blocks += [group("g", ("127.0.0.1", 81)), group("h", ("127.0.0.1", 82)), group("i", ("127.0.0.1", 80))]
    problems = found(*blocks)
    assert len(problems) == 3
    assert 'the server 127.0.0.1:81 of "g" is the listener "b", which leads to it again' in problems[0]


def test_a_range_that_leads_to_its_own_ports() -> None:
    again = {"name": "g", "any_port": True, "servers": [{"address": "127.0.0.1"}], "health_check": {"enabled": False}}
    (problem,) = found(listener("a", [2000, 2099], "g"), again)
    assert 'the server 127.0.0.1 of "g" is it again' in problem


def test_one_listener_may_be_another_ones_server() -> None:
    blocks = [listener("a", 80, "g"), listener("b", 81, "h"), group("g", ("127.0.0.1", 81), ("127.0.0.1", 82))]
    assert found(*blocks, group("h", ("127.0.0.1", 90), ("::1", 81), ("10.0.0.1", 81))) == []


def test_an_address_elsewhere_on_the_same_port_is_no_way_back() -> None:
    assert found(listener("a", 80, "g", "0.0.0.0"), group("g", ("10.0.0.1", 80), ("app.test", 80))) == []  # noqa: S104

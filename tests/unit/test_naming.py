"""From host names to servers: what a name adds to a group, and what it does not."""

from __future__ import annotations

from dataclasses import replace

from fastnlb.config.plan import plan
from fastnlb.control.answer import usable
from fastnlb.control.naming import addresses_in, host_names, with_addresses, without_servers
from fastnlb.model import Host, NamedServer, Resolver, Server, ServerGroup, Snapshot

A, B = NamedServer("a.test", 80, 30), NamedServer("b.test", 80)
LITERAL = Server("10.0.0.1", 80, 50)


def snapshot(*servers: Server, named: tuple[NamedServer, ...] = (A, B)) -> Snapshot:
    return Snapshot(server_groups=(ServerGroup("g", servers, named_servers=named),))


def test_every_address_is_a_server_with_the_weight_of_the_name() -> None:
    made = with_addresses(snapshot(LITERAL), {"a.test": ("10.0.0.2", "fd00::2"), "b.test": ("10.0.0.3",)})
    assert made.server_groups[0].servers == (
        LITERAL,
        Server("10.0.0.2", 80, 30, "a.test"),
        Server("fd00::2", 80, 30, "a.test"),
        Server("10.0.0.3", 80, 100, "b.test"),
    )
    assert made.hosts == (Host("a.test", ("10.0.0.2", "fd00::2")), Host("b.test", ("10.0.0.3",)))
    assert with_addresses(made, addresses_in(made)) == made


def test_an_address_counts_once_and_the_one_that_is_written_down_first() -> None:
    made = with_addresses(snapshot(LITERAL), {"a.test": ("10.0.0.1", "10.0.0.2"), "b.test": ("10.0.0.2",)})
    assert made.server_groups[0].servers == (LITERAL, Server("10.0.0.2", 80, 30, "a.test"))
    ports = with_addresses(snapshot(named=(A, NamedServer("a.test", 81))), {"a.test": ("10.0.0.1",)})
    assert [server.port for server in ports.server_groups[0].servers] == [80, 81]


def test_what_a_name_stood_for_goes_and_nothing_else() -> None:
    old = with_addresses(snapshot(LITERAL), {"a.test": ("10.0.0.1", "10.0.0.2"), "b.test": ("10.0.0.2",)})
    made = with_addresses(old, {"a.test": (), "b.test": ("10.0.0.2",)})
    assert made.server_groups[0].servers == (LITERAL, Server("10.0.0.2", 80, 100, "b.test"))
    unnamed = replace(old, server_groups=(replace(old.server_groups[0], named_servers=()),))
    assert with_addresses(unnamed, {}) == snapshot(LITERAL, named=())


def test_a_snapshot_without_names_is_left_alone() -> None:
    plain = snapshot(LITERAL, named=())
    assert with_addresses(plain, {"a.test": ("10.0.0.2",)}) is plain
    assert host_names(plain) == set()


def test_groups_that_wait_for_their_names_are_known() -> None:
    assert without_servers(snapshot()) == ["g"]
    assert without_servers(snapshot(LITERAL)) == []
    assert without_servers(snapshot(named=())) == [], "an empty group is empty on purpose"


def test_a_plan_says_whose_address_came_and_went() -> None:
    one, two = (with_addresses(snapshot(named=(A,)), {"a.test": (address,)}) for address in ("10.0.0.1", "fd00::1"))
    assert plan(one, two).describe() == [
        "~ server group g: server [fd00::1]:80 (a.test) added, server 10.0.0.1:80 (a.test) removed"
    ]


def test_a_plan_says_which_names_came_and_went() -> None:
    assert plan(snapshot(named=(A,)), snapshot()).describe() == ["~ server group g: host name b.test:80 added"]
    assert plan(snapshot(), snapshot(named=(replace(A, weight=9),))).describe() == [
        "~ server group g: host name a.test:80 weight 30 -> 9, host name b.test:80 removed"
    ]


def test_a_plan_says_whom_names_are_asked_of() -> None:
    old = snapshot()
    new = replace(old, resolver=Resolver((("10.0.0.53", 53), ("::1", 8600)), 1))
    assert plan(old, new).describe() == ["~ resolver: nameservers none -> 10.0.0.53:53 [::1]:8600, min_ttl 5 -> 1"]
    assert not plan(old, new).empty


def test_addresses_no_server_can_have_are_left_out() -> None:
    given = ["10.0.0.10", "0.0.0.0", "10.0.0.9", "224.0.0.1", "10.0.0.9"]  # noqa: S104
    assert usable(given) == ("10.0.0.9", "10.0.0.10")
    assert usable(["::", "fd00::a", "fd00:0::9"]) == ("fd00::9", "fd00::a")

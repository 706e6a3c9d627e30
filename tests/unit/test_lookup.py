"""Look-ups of host names: /etc/hosts, a real name server that tests command, and the thread around it all."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dns_server import NXDOMAIN, SERVFAIL, SILENT, NameServer, name_server
from support.procs import children, descriptors, free_port, wait_for

from fastnlb.control import first_look as first_look_module
from fastnlb.control import lookup as module
from fastnlb.control.answer import Answer, failed, found
from fastnlb.control.first_look import first_look
from fastnlb.control.hosts_file import HostsFile
from fastnlb.control.lookup import NO_ADDRESS, UNUSABLE, Lookup
from fastnlb.control.resolver import Lookups
from fastnlb.model import NamedServer, Resolver, Server, ServerGroup, Snapshot

NAME = "web.test"


@pytest.fixture
def server() -> Iterator[NameServer]:
    with name_server() as started:
        yield started


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRY_SECONDS", 0.1)
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.3)


def look_up(server: NameServer, tmp_path: Path, name: str = NAME, hosts: str = "") -> Answer:
    """One look-up, with /etc/hosts as given."""
    (tmp_path / "hosts").write_text(hosts)

    async def run() -> Answer:
        return await Lookup(tmp_path / "hosts", tmp_path / "resolv.conf")(name, settings(server))

    return asyncio.run(run())


def settings(server: NameServer) -> Resolver:
    return Resolver((("127.0.0.1", server.port),), min_ttl=2)


# The answer


def test_all_addresses_of_both_kinds_in_order_with_their_ttl(server: NameServer, tmp_path: Path) -> None:
    server.records[NAME], server.ttl = ["10.0.0.2", "fd00::2", "10.0.0.1", "fd00::1"], 42
    assert look_up(server, tmp_path) == Answer(("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"), 42)


def test_one_kind_alone_is_a_whole_answer(server: NameServer, tmp_path: Path) -> None:
    server.records[NAME] = ["10.0.0.1"]
    answer = look_up(server, tmp_path)
    assert (answer.ipv4, answer.ipv6) == (("10.0.0.1",), ())


def test_an_alias_is_followed_and_its_ttl_counts(server: NameServer, tmp_path: Path) -> None:
    server.records["real.test"], server.ttl = ["10.0.0.1"], 60
    server.aliases[NAME] = ("real.test", 7)
    answer = look_up(server, tmp_path)
    assert (answer.ipv4, answer.ttl) == (("10.0.0.1",), 7)


def test_an_answer_that_is_cut_off_is_asked_for_by_tcp(server: NameServer, tmp_path: Path) -> None:
    server.records[NAME] = [f"10.0.{high}.{low}" for high in range(4) for low in range(1, 101)]
    server.truncate = True
    answer = look_up(server, tmp_path)
    assert answer.ipv4 is not None
    assert len(answer.ipv4) == 400
    assert server.tcp


def test_what_fails_says_why(server: NameServer, tmp_path: Path) -> None:
    assert look_up(server, tmp_path) == Answer((), (), 0, "no such name (NXDOMAIN)")
    server.records[NAME] = []
    assert look_up(server, tmp_path) == Answer((), (), 0, NO_ADDRESS)
    server.records[NAME] = ["0.0.0.0"]  # noqa: S104
    assert look_up(server, tmp_path).reason == UNUSABLE
    server.mood = SERVFAIL
    answer = look_up(server, tmp_path)
    assert (answer.ipv4, answer.ipv6) == (None, None)
    assert answer.reason.endswith("answered SERVFAIL")
    server.mood = SILENT
    assert look_up(server, tmp_path) == failed("no answer within 0.3 s")


def test_a_kind_without_an_answer_is_told_apart_from_one_without_addresses(
    server: NameServer, tmp_path: Path
) -> None:
    server.records[NAME], server.silent_for = ["10.0.0.1", "fd00::1"], {"AAAA"}
    assert look_up(server, tmp_path) == Answer(("10.0.0.1",), None, 1, "AAAA: no answer within 0.3 s")


def test_nobody_at_that_port_is_a_failure(server: NameServer, tmp_path: Path) -> None:
    async def run() -> Answer:
        nobody = Resolver((("127.0.0.1", free_port()),))
        return await Lookup(tmp_path / "hosts", tmp_path / "resolv.conf")(NAME, nobody)

    answer = asyncio.run(run())
    assert not answer.good
    assert answer.reason


def test_a_dead_name_server_is_passed_over(server: NameServer, tmp_path: Path) -> None:
    server.records[NAME] = ["10.0.0.1"]
    both = Resolver((("127.0.0.1", free_port()), ("127.0.0.1", server.port)))

    async def run() -> Answer:
        return await Lookup(tmp_path / "hosts", tmp_path / "resolv.conf")(NAME, both)

    assert asyncio.run(run()).ipv4 == ("10.0.0.1",)


# The files of the system


def test_the_hosts_file_comes_first_and_asks_nobody(server: NameServer, tmp_path: Path) -> None:
    hosts = "127.0.0.1 localhost\n10.0.0.9  other.test WEB.test # a note\nfd00::9 web.test\nnonsense web.test\n"
    server.records[NAME] = ["10.0.0.1"]
    assert look_up(server, tmp_path, hosts=hosts) == found(("10.0.0.9", "fd00::9"), 2)
    assert not server.asked
    assert look_up(server, tmp_path, "web.test.", hosts=hosts).ipv4 == ("10.0.0.9",)
    assert look_up(server, tmp_path, hosts="0.0.0.0 web.test\n").ipv4 == ("10.0.0.1",)


def test_the_hosts_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    file = HostsFile(path)
    assert file.addresses(NAME) == ()
    path.write_text(f"10.0.0.1 {NAME}\n")
    assert file.addresses(NAME) == ("10.0.0.1",)
    (tmp_path / "new").write_text(f"10.0.0.22 {NAME}\n")
    (tmp_path / "new").replace(path)
    assert file.addresses(NAME) == ("10.0.0.22",)
    path.unlink()
    assert file.addresses(NAME) == ()


def test_the_search_list_of_the_system_is_gone_through(
    server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name servers have port 53, so the test looks at what is asked."""
    server.records["web.b.test"] = ["10.0.0.1"]
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch a.test b.test\n")
    made = Lookup._resolver

    def at_the_port(self: Lookup, wanted: Resolver) -> object:
        resolver = made(self, wanted)
        resolver.nameservers = made(self, settings(server)).nameservers
        return resolver

    monkeypatch.setattr(Lookup, "_resolver", at_the_port)

    async def run(name: str) -> Answer:
        return await Lookup(tmp_path / "hosts", tmp_path / "resolv.conf")(name, Resolver())

    assert asyncio.run(run("web")).ipv4 == ("10.0.0.1",)
    assert server.asked["web.a.test", "A"] == 1
    assert not asyncio.run(run("web.")).good
    assert not look_up(server, tmp_path, "web").good, "name servers of our own are asked for the name as it is"


def test_a_system_without_name_servers_is_a_failure_that_says_so(tmp_path: Path) -> None:
    async def run() -> Answer:
        return await Lookup(tmp_path / "hosts", tmp_path / "resolv.conf")(NAME, Resolver())

    assert "resolv.conf names no name server" in asyncio.run(run()).reason
    (tmp_path / "resolv.conf").write_text("search test\n")
    assert "resolv.conf names no name server" in asyncio.run(run()).reason


# The thread


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    before = descriptors(os.getpid())
    with selectors.DefaultSelector() as made:
        yield made
    assert descriptors(os.getpid()) == before, "a descriptor leaked"
    assert not [each for each in threading.enumerate() if each.name == "resolver"]


def answers(lookups: Lookups, selector: selectors.BaseSelector, count: int) -> dict[str, Answer]:
    taken: dict[str, Answer] = {}

    def collect() -> bool:
        for key, events in selector.select(0.05):
            key.data(events)
        taken.update(lookups.take())
        return len(taken) == count

    wait_for(collect, f"{count} answers")
    return taken


def test_no_question_no_thread(selector: selectors.BaseSelector) -> None:
    lookups = Lookups(selector)
    assert lookups.take() == []
    assert not selector.get_map()
    lookups.close()


def test_many_questions_are_answered_together(
    selector: selectors.BaseSelector, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRY_SECONDS", 10)
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 20)
    names = [f"n{number}.test" for number in range(250)]
    server.records.update({name: ["10.0.0.1"] for name in names})
    lookups = Lookups(selector)
    for name in names:
        lookups.ask(name, settings(server))
    got = answers(lookups, selector, len(names))
    lookups.close()
    assert {answer.ipv4 for answer in got.values()} == {("10.0.0.1",)}


def test_it_ends_with_questions_open(selector: selectors.BaseSelector, server: NameServer) -> None:
    server.mood = SILENT
    lookups = Lookups(selector)
    lookups.ask(NAME, settings(server))
    wait_for(lambda: server.asked[NAME, "A"], "the question")
    lookups.close()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(24, "too many open files")])
def test_whatever_goes_wrong_is_an_answer(selector: selectors.BaseSelector, error: Exception) -> None:
    async def broken(name: str, settings: Resolver) -> Answer:
        raise error

    lookups = Lookups(selector, broken)
    lookups.ask(NAME, Resolver())
    (answer,) = answers(lookups, selector, 1).values()
    lookups.close()
    assert answer.reason.startswith(type(error).__name__)


def test_without_a_thread_there_is_still_an_answer(
    selector: selectors.BaseSelector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    lookups = Lookups(selector)
    lookups.ask(NAME, Resolver())
    assert lookups.take() == [(NAME, failed("cannot look it up now: can't start new thread"))]
    lookups.close()


# Before the first fork


def named(server: NameServer, *names: str) -> Snapshot:
    group = ServerGroup("g", (), named_servers=tuple(NamedServer(name, 80) for name in names))
    return Snapshot(server_groups=(group,), resolver=settings(server))


def test_a_daemon_starts_with_what_resolves(server: NameServer, caplog: pytest.LogCaptureFixture) -> None:
    server.records[NAME] = ["10.0.0.1"]
    before, others = descriptors(os.getpid()), children(os.getpid())
    made = first_look(named(server, NAME, "gone.test"))
    assert made.server_groups[0].servers == (Server("10.0.0.1", 80, 100, NAME),)
    assert caplog.messages == ["gone.test does not resolve (no such name (NXDOMAIN)): it has no address yet"]
    assert descriptors(os.getpid()) == before
    assert children(os.getpid()) == others, "not reaped"


@pytest.mark.parametrize("mood", [SILENT, SERVFAIL, NXDOMAIN])
def test_a_daemon_starts_without_what_does_not(
    server: NameServer, mood: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.mood = mood
    made = first_look(named(server, NAME), 1)
    assert made.server_groups[0].servers == ()
    first, second = caplog.messages
    assert first.startswith("web.test does not resolve (")
    assert second == "server group g has no server until a host name resolves: its clients are reset"


def test_a_daemon_does_not_wait_for_a_child_that_hangs_or_dies(
    server: NameServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(first_look_module, "GRACE_SECONDS", 0.1)

    def hang(*_: object) -> None:
        threading.Event().wait()

    monkeypatch.setattr(first_look_module, "_answer_and_leave", hang)
    first_look(named(server, NAME), 0.1)
    monkeypatch.setattr(first_look_module, "_answer_and_leave", lambda *_: os._exit(1))
    first_look(named(server, NAME), 0.1)
    assert caplog.messages.count("web.test does not resolve (its look-up did not end): it has no address yet") == 2


def test_without_names_nothing_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    plain = Snapshot(server_groups=(ServerGroup("g", (Server("10.0.0.1", 80),)),))
    assert first_look(plain) is plain

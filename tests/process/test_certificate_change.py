"""Certificates, keys, authorities and OCSP responses that change while the real program serves with them.

Whatever becomes of the files: who is connected stays so, and who comes gets the last good state, from every worker.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.certs import CLIENT, HOUR, Issued, now, private_pem
from support.ocsp_client import Asking
from support.procs import children, free_port, wait_for
from support.tls_client import TlsClient
from support.tls_site import TlsSite

ROOT, STAFF = Issued.root(), Issued.root("staff")
ALICE = STAFF.issue(common_name="alice", usages=[CLIENT])
SPREAD = 25


@pytest.fixture
def site(tmp_path: Path, echo: tuple[str, int]) -> Iterator[TlsSite]:
    made = TlsSite(tmp_path, echo)
    yield made
    made.end()
    if made.program is not None:
        assert_no_keys(made)


def assert_no_keys(site: TlsSite) -> None:
    """Not a line from the middle of any key file is in the output."""
    output = site.running.output()
    for path in site.folder.rglob("*.key"):
        lines = [line for line in path.read_text("latin-1").splitlines() if line and not line.startswith("-----")]
        for line in lines[1:-1] or lines:
            assert line not in output
        assert base64.b64encode(path.read_bytes())[40:80].decode() not in output


@pytest.fixture
def port(site: TlsSite) -> int:
    """A running site that shows `one`."""
    number = free_port()
    site.configure(certificates=[site.certificate("c", issue("one"))], listeners=[site.listener("l", number)])
    site.start()
    return number


def issue(common_name: str, *names: str, **options: Any) -> Issued:
    return ROOT.issue(*(names or ("localhost",)), common_name=common_name, **options)


def shows(site: TlsSite, port: int, *expected: str) -> None:
    """All workers, at once."""
    seen = site.shown_everywhere(port)
    seen |= {site.visit(port, "TLSv1.2").shown() for _ in range(SPREAD)}
    assert seen == set(expected), site.running.output()


def comes(site: TlsSite, port: int, expected: str) -> None:
    """Sooner or later, and then from all workers."""
    wait_for(lambda: site.shown_everywhere(port) == {expected}, expected)
    shows(site, port, expected)


def warned(site: TlsSite, key: str, words: str) -> None:
    """A line with the place in the file, the key and what is wrong."""
    place = re.escape(str(site.file)) + r":\d+:\d+: certificates\[0\]"
    site.running.wait_line(rf".* (WARNING|ERROR) control: {place}\.{key}: .*{words}.*")


class Stream:
    """A connection on which bytes go round until it is ended; what comes back must be what was sent."""

    def __init__(self, port: int, version: str, **wishes: Any) -> None:
        self.client = TlsClient(("127.0.0.1", port), version, **wishes).handshake()
        self.sent, self.got, self.rounds = hashlib.sha256(), hashlib.sha256(), 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            piece = os.urandom(20_000)
            self.client.send(piece)
            self.sent.update(piece)
            self.got.update(self.client.receive_exactly(len(piece)))
            self.rounds += 1

    def flows(self) -> None:
        seen = self.rounds
        wait_for(lambda: self.rounds > seen + 1, "bytes to go round")

    def end(self) -> None:
        self._ending.set()
        self._thread.join(10)
        assert self.sent.digest() == self.got.digest()
        self.client.close()


@pytest.fixture
def streams() -> Iterator[Callable[..., list[Stream]]]:
    running: list[Stream] = []

    def start(port: int, **wishes: Any) -> list[Stream]:
        running.extend(Stream(port, version, **wishes) for version in ("TLSv1.2", "TLSv1.3") for _ in range(3))
        return running

    yield start
    for one in running:
        one.end()


# Asked for with HUP


def test_all_workers_show_it_at_once_and_streams_run_on(site: TlsSite, port: int, streams: Any) -> None:
    running = streams(port)
    for name in ("two", "three"):
        site.certificate("c", issue(name))
        site.reload_done()
        shows(site, port, name)
        for one in running:
            one.flows()
    assert {one.client.shown() for one in running} == {"one"}


def test_without_watch_nothing_is_taken_before_it_is_asked_for(site: TlsSite, port: int) -> None:
    site.certificate("c", issue("two"))
    shows(site, port, "one")
    site.reload_done()
    shows(site, port, "two")


PEM_OF_TWO = issue("two")


def locked(site: TlsSite) -> None:
    """A key under another passphrase than the file says."""
    site.put("c.key", private_pem(PEM_OF_TWO.key, b"right"))
    site.put("c.pem", PEM_OF_TWO.chain_pem)
    site.put("passphrase", b"wrong\n")
    block = {"name": "c", "certificate": "c.pem", "private_key": "c.key", "private_key_passphrase_file": "passphrase"}
    site.configure(certificates=[block])


FAULTS: dict[str, tuple[Callable[[TlsSite], object], str, str]] = {
    "broken": (lambda site: site.put("c.pem", b"-----BEGIN CERTIFICATE-----\nno\n"), "certificate", r"c\.pem"),
    "truncated": (lambda site: site.put("c.pem", PEM_OF_TWO.chain_pem[:300]), "certificate", r"c\.pem"),
    "empty": (lambda site: site.put("c.key", b""), "private_key", "PRIVATE KEY"),
    "mismatch": (lambda site: site.put("c.pem", PEM_OF_TWO.chain_pem), "private_key", "does not belong"),
    "gone": (lambda site: (site.folder / "c.key").unlink(), "private_key", "cannot read"),
    "a folder": (
        lambda site: ((site.folder / "c.key").unlink(), (site.folder / "c.key").mkdir()),
        "private_key",
        "is a directory",
    ),
    "locked": (locked, "private_key_passphrase_file", "another passphrase"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_what_cannot_be_used_is_refused_with_its_place(site: TlsSite, port: int, fault: str) -> None:
    spoil, key, words = FAULTS[fault]
    spoil(site)
    site.reload()
    warned(site, key, words)
    site.wait_count("reload refused: the old configuration stays", 1)
    shows(site, port, "one")
    if (site.folder / "c.key").is_dir():
        (site.folder / "c.key").rmdir()
    site.configure(certificates=[site.certificate("c", issue("three"))])
    site.reload_done()
    shows(site, port, "three")


def test_an_expired_one_is_a_warning_and_served(site: TlsSite, port: int) -> None:
    site.certificate("c", issue("old", begin=now() - 3 * HOUR, end=now() - HOUR))
    site.reload_done()
    site.running.wait_line(r".* WARNING control: .*certificates\[0\]: warning: .*expired.*")
    shows(site, port, "old")


def test_additional_certificates_come_and_go(site: TlsSite, port: int) -> None:
    more = [site.certificate(name, issue(name, f"{name}.test")) for name in ("d", "e")]
    blocks = [site.certificate("c", issue("one")), *more]
    site.configure(certificates=blocks, listeners=[site.listener("l", port, additional_certificates=["d", "e"])])
    site.reload_done()
    assert site.shown_everywhere(port, name=b"d.test") == {"d"}
    assert site.shown_everywhere(port, name=b"e.test") == {"e"}
    site.configure(certificates=blocks[:2], listeners=[site.listener("l", port, additional_certificates=["d"])])
    site.reload_done()
    assert site.shown_everywhere(port, name=b"d.test") == {"d"}
    assert site.shown_everywhere(port, name=b"e.test") == {"one"}


def test_client_authentication_goes_on_and_off_under_open_connections(site: TlsSite, port: int, streams: Any) -> None:
    running = streams(port)
    site.configure(
        ca_certificates=[site.authority(STAFF)], listeners=[site.listener("l", port, ca_certificate="staff")]
    )
    site.reload_done()
    address = ("127.0.0.1", port)
    for version in ("TLSv1.2", "TLSv1.3"):
        site.everywhere("client_certificates_missing", lambda: TlsClient(address, version).refused())  # noqa: B023
        assert site.shown_everywhere(port, version, identity=ALICE) == {"one"}
    site.configure(listeners=[site.listener("l", port)])
    site.reload_done()
    shows(site, port, "one")
    for one in running:
        one.flows()


def test_a_key_with_a_passphrase_is_served(site: TlsSite) -> None:
    port, one = free_port(), issue("one")
    block = {**site.certificate("c", one), "private_key_passphrase_file": "passphrase"}
    site.put("c.key", private_pem(one.key, b"open sesame"))
    site.put("passphrase", b"open sesame\n")
    site.configure(certificates=[block], listeners=[site.listener("l", port)])
    site.start()
    shows(site, port, "one")
    two = issue("two")
    site.put("c.pem", two.chain_pem)
    site.put("c.key", private_pem(two.key, b"open simsim"))
    site.put("passphrase", b"open simsim\n")
    site.reload_done()
    shows(site, port, "two")
    assert "sesame" not in site.running.output()


@pytest.mark.parametrize("exposed", ["c.key", "passphrase"])
def test_a_secret_that_others_can_read_is_a_warning(site: TlsSite, exposed: str) -> None:
    one = issue("one")
    block = {**site.certificate("c", one), "private_key_passphrase_file": "passphrase"}
    site.put("c.key", private_pem(one.key, b"open sesame"))
    site.put("passphrase", b"open sesame\n")
    (site.folder / exposed).chmod(0o644)
    site.configure(certificates=[block], listeners=[site.listener("l", free_port())])
    site.start()
    site.running.wait_line(rf".*certificates\[0\]: warning: .*{exposed} holds a .* others .* can read it.*")
    assert site.count("others than its owner") == 1


# Found by watching


@pytest.fixture
def watched(site: TlsSite) -> int:
    number = free_port()
    site.configure(
        watch=True, certificates=[site.certificate("c", issue("one"))], listeners=[site.listener("l", number)]
    )
    site.start()
    return number


def test_renamed_into_place(site: TlsSite, watched: int, streams: Any) -> None:
    running = streams(watched)
    site.certificate("c", issue("two"))
    comes(site, watched, "two")
    for one in running:
        one.flows()


def test_written_in_pieces(site: TlsSite, watched: int) -> None:
    two = issue("two")
    for name, text in (("c.pem", two.chain_pem), ("c.key", two.key_pem)):
        with (site.folder / name).open("wb") as file:
            for start in range(0, len(text), 50):
                file.write(text[start : start + 50])
                file.flush()
                site.visit(watched, "TLSv1.3")
    comes(site, watched, "two")


def test_swapped_by_a_symlink(site: TlsSite) -> None:
    """As Kubernetes mounts a secret: the files lead through ..data, which is renamed over."""
    port = free_port()
    for number, name in enumerate(("one", "two")):
        (site.folder / f"..{number}").mkdir()
        issued = issue(name)
        for suffix, text in ((".pem", issued.chain_pem), (".key", issued.key_pem)):
            site.put(f"..{number}/c{suffix}", text)
    (site.folder / "..data").symlink_to("..0")
    for suffix in (".pem", ".key"):
        (site.folder / f"c{suffix}").symlink_to(f"..data/c{suffix}")
    block = {"name": "c", "certificate": "c.pem", "private_key": "c.key"}
    site.configure(watch=True, certificates=[block], listeners=[site.listener("l", port)])
    site.start()
    shows(site, port, "one")
    (site.folder / "..next").symlink_to("..1")
    (site.folder / "..next").replace(site.folder / "..data")
    comes(site, port, "two")


def test_the_certificate_long_before_its_key(site: TlsSite, watched: int) -> None:
    two = issue("two")
    site.put("new", two.chain_pem).replace(site.folder / "c.pem")
    warned(site, "private_key", "does not belong.*the old one stays")
    shows(site, watched, "one")
    site.put("new", two.key_pem).replace(site.folder / "c.key")
    comes(site, watched, "two")


def test_the_configuration_file_is_not_watched(site: TlsSite, watched: int) -> None:
    other = free_port()
    site.configure(listeners=[site.listener("l", other)])
    site.certificate("c", issue("two"))
    comes(site, watched, "two")
    assert site.count(f"{watched} -> {other}") == 0
    site.reload_done()
    shows(site, other, "two")


# OCSP responses


def staples(site: TlsSite, port: int) -> set[bytes | None]:
    """What all workers send."""
    found: set[bytes | None] = set()

    def ask() -> None:
        client = Asking(("127.0.0.1", port), "TLSv1.3")
        found.add(client.ask())
        client.close()

    site.everywhere("handshakes", ask)
    return found


def test_responses_are_followed_without_being_asked_for(site: TlsSite) -> None:
    port = free_port()
    intermediate = ROOT.intermediate("issuing")
    leaf = intermediate.issue("localhost", common_name="one")
    block = {**site.certificate("c", leaf), "ocsp_response": "c.ocsp"}
    site.configure(certificates=[block], listeners=[site.listener("l", port)])
    site.start()
    assert staples(site, port) == {b""}

    def follows(expected: bytes) -> None:
        wait_for(lambda: staples(site, port) == {expected}, f"the response\n{site.running.output()}")

    first = intermediate.ocsp(leaf)
    site.put("c.ocsp", first)
    follows(first)
    second = intermediate.ocsp(leaf, begin=now() - 2 * HOUR)
    site.put("new", second).replace(site.folder / "c.ocsp")
    follows(second)
    site.put("c.ocsp", b"no response")
    warned(site, "ocsp_response", "the old one stays until")
    assert staples(site, port) == {second}
    (site.folder / "c.ocsp").unlink()
    site.running.wait_line(r".*ocsp_response: warning: .*cannot read.*the old one stays until.*")
    third = intermediate.ocsp(leaf, begin=now() - HOUR / 2)
    site.put("c.ocsp", third)
    follows(third)
    renewed = intermediate.issue("localhost", common_name="two")
    site.certificate("c", renewed)
    site.reload_done()
    assert staples(site, port) == {b""}, "a response for another certificate"
    site.put("c.ocsp", intermediate.ocsp(renewed, begin=now() - 3 * HOUR, end=now() - HOUR))
    site.running.wait_line(r".*ocsp_response: warning: .*served without one.*")
    assert staples(site, port) == {b""}, "a stale response"
    shows(site, port, "two")


# Memory


@pytest.mark.parametrize("allowed", [False, True])
def test_processes_with_keys_are_out_of_reach(site: TlsSite, allowed: bool) -> None:
    """What is not dumpable belongs to root in /proc, and its limit of core dumps is 0 for good."""
    site.configure(
        core_dumps=allowed,
        certificates=[site.certificate("c", issue("one"))],
        listeners=[site.listener("l", free_port())],
    )
    program = site.start()
    family = [program.pid, *children(program.pid)]
    assert len(family) == 5
    for pid in family:
        if os.geteuid() != 0:  # root may look at everything, and its own files are root's anyway
            assert (Path(f"/proc/{pid}/mem").stat().st_uid == os.geteuid()) is allowed
        limits = Path(f"/proc/{pid}/limits").read_text()
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert allowed or line.split()[4:6] == ["0", "0"]

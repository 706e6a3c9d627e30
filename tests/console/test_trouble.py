"""Bad moments: a daemon that is gone, a token that has expired, two people at one listener, nothing to be changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from playwright.sync_api import Page
from support.certs import Issued
from support.console import ConsoleSite, Desk, Witness
from support.procs import free_port, wait_for


def make_token(site: ConsoleSite, name: str, role: str) -> str:
    command = [
        sys.executable,
        "-m",
        "fastnlb",
        "token",
        "create",
        name,
        "--role",
        role,
        "--tokens-file",
        str(site.tokens_file),
    ]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(word for word in out.split() if word.startswith("fnlb_"))


def sign_in(desk: Desk, token: str) -> None:
    desk.page.locator("dialog").get_by_label("Token").fill(token)
    desk.press("Sign in")


def test_a_token_is_asked_for_and_kept_in_memory_only(site: ConsoleSite, desk: Desk) -> None:
    token = make_token(site, "alice", "write")
    site.start(tokens=True)
    desk.witness.expect(401)
    desk.page.goto(site.url)
    sign_in(desk, "fnlb_wrong")
    desk.page.get_by_role("alert").get_by_text("token").wait_for()
    desk.shot("login")
    sign_in(desk, token)
    desk.heading("No listener yet")
    desk.page.get_by_text("as alice").wait_for()
    assert (
        desk.page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        == '[{},{},""]'
    )
    desk.page.reload()
    desk.page.get_by_role("heading", name="Sign in").wait_for()


def test_a_token_that_expires_loses_nothing_that_was_typed(
    site: ConsoleSite, desk: Desk, web: tuple[str, int]
) -> None:
    first = make_token(site, "alice", "write")
    site.start(tokens=True)
    desk.witness.expect(401, 400)
    desk.page.goto(site.url)
    sign_in(desk, first)
    desk.heading("No listener yet")
    desk.page.get_by_role("link", name="Create listener").first.click()
    desk.fill(Port=str(port := free_port()), Name="kept")
    site.tokens_file.unlink()
    second = make_token(site, "alice", "write")
    desk.press("Next")
    desk.page.get_by_role("heading", name="Sign in again").wait_for()
    desk.page.get_by_text("What you have typed is kept.").wait_for()
    desk.shot("login-expired")
    sign_in(desk, second)
    desk.heading("Configure certificate")  # the request that was refused has gone through meanwhile
    desk.press("Back")
    assert (desk.field("Port").input_value(), desk.field("Name").input_value()) == (str(port), "kept")


def test_a_token_that_may_only_read_sees_why_nothing_can_be_changed(site: ConsoleSite, desk: Desk) -> None:
    token = make_token(site, "bob", "read")
    site.start(tokens=True)
    desk.witness.expect(401)
    desk.page.goto(site.url)
    sign_in(desk, token)
    desk.page.get_by_text("The token bob may only read.").wait_for()


def test_the_second_of_two_editors_sees_the_difference_and_reapplies(
    store: ConsoleSite, new_page: Callable[..., tuple[Page, Witness]], web: tuple[str, int]
) -> None:
    store.certificate()
    store.group("web", web)
    store.listener("https")
    first, second = (Desk(*new_page(), store) for _ in range(2))
    for desk in (first, second):
        desk.open("listeners", "https", "edit")
        desk.page.get_by_text("Advanced settings").click()
    first.fill(Idle_timeout="60", Connect_timeout="7")
    first.press("Save")
    first.heading("https")
    second.witness.expect(412)
    second.fill(Idle_timeout="120", New_connections_per_second="500")
    second.press("Save")
    second.page.get_by_role("heading", name="Somebody else has changed this meanwhile").wait_for()
    row = second.here.locator("tr", has_text="idle_timeout").inner_text()
    assert row.split() == ["idle_timeout", "900", "60", "120"]
    second.shot("conflict")
    second.confirm("Back to the form")
    assert second.field("Idle timeout").input_value() == "120"
    second.press("Save")
    second.press("Reapply mine on top")
    second.heading("https")
    listener = store.call("GET", "/listeners/https")
    assert (listener["idle_timeout"], listener["connect_timeout"], listener["cps"]) == (120, 7, 500)


def test_or_takes_over_what_the_first_has_done(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    store.certificate()
    store.group("web", web)
    store.listener("https")
    desk.witness.expect(412)
    desk.open("listeners", "https", "edit")
    desk.page.get_by_text("Advanced settings").click()
    desk.fill(Idle_timeout="120")
    store.call("PATCH", "/listeners/https", {"idle_timeout": 60})
    desk.press("Save")
    desk.confirm("Take theirs over")
    wait_for(lambda: desk.field("Idle timeout").input_value() == "60", "theirs")


def test_a_daemon_that_is_gone_and_comes_back_loses_nothing_that_was_typed(
    store: ConsoleSite, desk: Desk, web: tuple[str, int]
) -> None:
    store.certificate()
    store.group("web", web)
    desk.witness.expect(0, 400)
    desk.open("create", "listener")
    desk.fill(Port=str(port := free_port()), Name="patient", Address_to_listen_on="127.0.0.1")
    store.kill()
    desk.press("Next")
    desk.page.get_by_text("Nothing you typed is lost").wait_for()
    desk.page.get_by_text("The daemon cannot be reached").first.wait_for()
    desk.shot("lost")
    assert desk.field("Port").input_value() == str(port)
    store.start()
    desk.page.locator(".banner", has_text="The daemon cannot be reached since").wait_for(state="detached")
    desk.press("Next")
    desk.heading("Configure certificate")
    desk.choose("www")
    desk.press("Next")
    desk.choose("web")
    desk.press("Next")
    desk.heading("Review")
    desk.press("Create listener")
    desk.heading("patient")


def test_file_mode_says_why_nothing_can_be_changed_and_what_to_write(
    site: ConsoleSite, desk: Desk, web: tuple[str, int]
) -> None:
    Issued.root().issue("www.example.test").write(site.folder, "www")
    listener = {"name": "https", "protocol": "TCPSSL", "address": "127.0.0.1", "port": free_port()}
    site.start(
        resources={
            "certificates": [{"name": "www", "certificate": "www.pem", "private_key": "www.key"}],
            "server_groups": [{"name": "web", "servers": [{"address": web[0], "port": web[1]}]}],
            "listeners": [{**listener, "server_group": "web", "certificate": "www"}],
        }
    )
    desk.witness.expect(409, 400)
    desk.open("listeners", "https")
    banner = desk.page.locator("[data-read-only]")
    assert "fastnlb.yaml" in banner.inner_text()
    desk.press("Stop …")
    assert "enabled: false" in desk.here.get_by_role("region", name="YAML to write").inner_text()
    desk.shot("read-only")
    desk.press("Close")
    desk.page.get_by_role("link", name="Edit").click()
    desk.page.get_by_text("Advanced settings").click()
    desk.fill(Idle_timeout="60")
    desk.press("Show the YAML")
    assert "idle_timeout: 60" in desk.here.get_by_role("region", name="YAML to write").inner_text()
    desk.press("Close")
    desk.page.on("dialog", lambda question: question.accept())
    desk.open("history")
    desk.heading("There is no history")
    desk.open("create", "listener")
    desk.fill(Port=str(free_port()), Name="second")
    desk.press("Next")
    desk.choose("www")
    desk.press("Next")
    desk.choose("web")
    desk.press("Next")
    desk.heading("Review")
    assert "name: second" in desk.page.get_by_role("region", name="YAML", exact=True).inner_text()
    assert desk.page.get_by_role("button", name="Create listener").count() == 0

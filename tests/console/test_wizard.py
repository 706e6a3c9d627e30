"""Creating a listener in four steps, from nothing to bytes through it."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys

import pytest
from support.certs import Issued
from support.console import ConsoleSite, Desk, RefusedError
from support.procs import free_port
from support.site import tls_client


def first_step(desk: Desk, port: int) -> None:
    desk.open("create", "listener")
    desk.fill(Port=str(port), Address_to_listen_on="127.0.0.1")


def to_review(desk: Desk, port: int, web: tuple[str, int]) -> None:
    """With everything created on the way."""
    first_step(desk, port)
    desk.press("Next")
    desk.self_signed("www", "www.example.test")
    desk.press("Next")
    desk.new_group("web", *web)
    desk.press("Next")
    desk.heading("Review")
    for text in ("name: www", "name: web"):  # what is told of both is read anew
        desk.page.get_by_role("region", name="YAML", exact=True).get_by_text(text).wait_for()


def body_through(port: int, *more: str) -> int:
    """How many bytes curl gets for /100 through the listener."""
    url = f"https://127.0.0.1:{port}/100"
    command = ["curl", "-sk", "--fail", "--max-time", "10", *more, url]
    return len(subprocess.run(command, check=True, capture_output=True).stdout)


def test_from_an_empty_store_to_bytes_through_the_listener(
    store: ConsoleSite, desk: Desk, web: tuple[str, int]
) -> None:
    desk.witness.expect(400)  # each step but the last is asked of the API without what comes later
    port = free_port()
    desk.open("listeners")
    desk.heading("No listener yet")
    desk.shot("listeners-empty")
    desk.page.get_by_role("link", name="Create listener").first.click()
    desk.fill(Port=str(port), Address_to_listen_on="127.0.0.1", Name="https")
    desk.press("Add a tag")
    desk.fill(Key_of_tag_1="env", Value_of_tag_1="production")
    desk.shot("wizard-1")
    desk.press("Next")
    desk.heading("Configure certificate")
    desk.self_signed("www", "www.example.test")
    desk.page.get_by_text("Versions and ciphers of tls_cipher_policy_1_2_strict_with_1_3").click()
    desk.page.locator("main").get_by_text("TLS_AES_256_GCM_SHA384").wait_for()
    desk.shot("wizard-2")
    desk.press("Next")
    desk.heading("Select server group")
    desk.new_group("web", *web)
    desk.page.get_by_role("table").get_by_text(f"{web[0]}:{web[1]}").wait_for()
    desk.shot("wizard-3")
    desk.press("Next")
    desk.heading("Review")
    review = desk.page.locator("main").inner_text()
    assert f"+ listener https 127.0.0.1:{port}" in review
    assert "env=production" in review and "just created" in review
    assert (
        "listeners:\n  - name: https\n    protocol: TCPSSL"
        in desk.page.get_by_role("region", name="YAML", exact=True).inner_text()
    )
    assert "/api/v1/listeners" in desk.page.get_by_role("region", name="curl commands", exact=True).inner_text()
    desk.shot("wizard-4")
    desk.press("Create listener")
    desk.heading("https")
    desk.page.get_by_text("Running").first.wait_for()
    assert body_through(port) == 100
    listener = store.call("GET", "/listeners/https")
    assert listener["tags"] == {"env": "production"} and listener["server_group"] == "web"


def test_the_yaml_of_the_review_is_a_configuration(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    desk.witness.expect(400)
    to_review(desk, free_port(), web)
    text = "version: 1\n" + desk.page.get_by_role("region", name="YAML", exact=True).inner_text() + "\n"
    (store.folder / "review.yaml").write_text(text)
    for name, pem in zip(("www.pem", "www.key"), (Issued.root().issue("www.example.test"),) * 2, strict=True):
        (store.folder / name).touch(0o600)
        (store.folder / name).write_bytes(pem.chain_pem if name == "www.pem" else pem.key_pem)
    checked = subprocess.run(
        [sys.executable, "-m", "fastnlb", "check", "-c", str(store.folder / "review.yaml")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr + text


def test_the_commands_of_the_review_create_what_the_console_would(
    store: ConsoleSite, desk: Desk, web: tuple[str, int]
) -> None:
    desk.witness.expect(400)
    port = free_port()
    to_review(desk, port, web)
    commands = desk.page.get_by_role("region", name="curl commands", exact=True).inner_text().split("\n\n")
    subprocess.run(["sh", "-c", commands[-1].replace("curl ", "curl -s --fail ")], check=True, capture_output=True)
    assert store.call("GET", f"/listeners/tls-{port}")["port"] == port
    assert body_through(port) == 100


def test_what_is_wrong_is_said_at_its_field_and_nowhere_else(store: ConsoleSite, desk: Desk) -> None:
    store.certificate()
    store.group("web", ("127.0.0.1", 9))
    taken = store.listener("taken")["port"]
    desk.witness.expect(400)
    desk.open("create", "listener")
    desk.press("Next")
    assert "port to listen on" in desk.wrong_at("Port")
    focused = "element => element === document.activeElement"
    desk.page.wait_for_function(focused, arg=desk.field("Port").element_handle())
    desk.fill(Port="70000")
    assert desk.field("Port").get_attribute("aria-invalid") is None, "said no longer, once it is changed"
    desk.page.get_by_text("Advanced settings").click()
    desk.fill(Idle_timeout="901", Address_to_listen_on="10.0.0.300", Name="not a name")
    desk.fill(New_connections_per_second="many")
    desk.press("Add a tag")
    desk.fill(Key_of_tag_1="a=b")
    desk.press("Next")
    assert "1 to 65535" in desk.wrong_at("Port")
    assert "1 to 900 seconds" in desk.wrong_at("Idle timeout")
    assert "address takes" in desk.wrong_at("Address to listen on")
    assert "name takes" in desk.wrong_at("Name")
    assert "cps takes 0 to 1000000" in desk.wrong_at("New connections per second")
    assert "tag" in desk.wrong_at("Key of tag 1")
    desk.shot("wizard-wrong")
    desk.fill(Port=str(taken), Idle_timeout="900", Address_to_listen_on="127.0.0.1", Name="https")
    desk.fill(New_connections_per_second="0", Key_of_tag_1="")
    desk.press("Next")
    assert str(taken) in desk.wrong_at("Port")
    desk.fill(Port=str(free_port()))
    desk.press("Next")
    desk.heading("Configure certificate")
    desk.press("Next")
    assert "certificate" in desk.wrong_in("Server certificate")
    desk.field("Mutual authentication").check()
    desk.press("Next")
    assert "authority" in desk.wrong_in("CA certificate")
    desk.field("Mutual authentication").uncheck()
    desk.choose("www")
    desk.press("Next")
    desk.heading("Select server group")
    desk.press("Next")
    assert "group" in desk.wrong_in("Server group")


def test_a_range_of_ports_says_what_is_wrong_with_it(store: ConsoleSite, desk: Desk) -> None:
    desk.witness.expect(400)
    desk.open("create", "listener")
    desk.choose("TCP")
    desk.choose("A range of ports")
    desk.fill(First_port="20010", Last_port="20000")
    desk.press("Next")
    assert "not above the first port" in desk.wrong_at("First port")


def test_a_range_of_ports_to_a_group_that_is_made_for_it(
    store: ConsoleSite, desk: Desk, echo: tuple[str, int]
) -> None:
    """The listener is on another loopback address, so that its ports are those of the server."""
    desk.witness.expect(400)
    desk.open("create", "listener")
    desk.choose("TCP")
    desk.choose("A range of ports")
    desk.fill(First_port=str(echo[1]), Last_port=str(echo[1] + 1), Address_to_listen_on="127.0.0.2", Name="games")
    desk.press("Next")
    desk.heading("Select server group")  # there is no certificate to choose
    desk.press("Create a server group …")
    assert desk.field("Any port").is_checked() and desk.field("Port of server 1").is_disabled()
    desk.choose("Off")
    desk.fill(Name="games", Address_of_server_1=echo[0])
    desk.confirm("Create")
    desk.press("Next")
    desk.heading("Review")
    desk.press("Create listener")
    desk.heading("games")
    with socket.create_connection(("127.0.0.2", echo[1]), timeout=10) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_wrong_pem_is_said_at_the_certificate_or_its_key(store: ConsoleSite, desk: Desk) -> None:
    root = Issued.root()
    web, other = root.issue("www.example.test"), root.issue("other.example.test")
    desk.witness.expect(400)
    desk.open("certificates")
    desk.press("Create certificate …")
    desk.fill(Name="www", Certificate="nothing of the kind", Private_key=web.key_pem.decode())
    desk.press("Create")
    assert desk.wrong_at("Certificate")
    desk.fill(Certificate=web.chain_pem.decode(), Private_key=other.key_pem.decode())
    desk.press("Create")
    assert desk.wrong_at("Private key")
    desk.fill(Private_key=web.key_pem.decode(), Name="no name")
    desk.press("Create")
    assert desk.wrong_at("Name")
    desk.fill(Name="www")
    desk.press("Create")
    desk.heading("www")


def test_wrong_servers_and_checks_are_said_at_their_fields(store: ConsoleSite, desk: Desk) -> None:
    desk.witness.expect(400)
    desk.open("server-groups")
    desk.press("Create server group …")
    desk.press("Add a server")  # the first stays empty, and is not sent: errors are still at the right one
    desk.fill(Name="web", Address_of_server_2="10.0.0.256", Port_of_server_2="0", Weight_of_server_2="101")
    desk.choose("HTTP")
    desk.fill(Path="no-slash")
    desk.press("Create")
    assert "10.0.0.256" in desk.wrong_at("Address of server 2")
    assert "0 to 100" in desk.wrong_at("Weight of server 2")
    assert "url" in desk.wrong_at("Path")
    desk.fill(Address_of_server_2="10.0.0.25", Port_of_server_2="80", Weight_of_server_2="10", Path="/healthy")
    desk.press("Create")
    desk.heading("web")
    group = store.call("GET", "/server-groups/web")
    assert [(each["address"], each["weight"]) for each in group["servers"]] == [("10.0.0.25", 10)]
    assert group["health_check"]["url"] == "/healthy"


def test_going_back_keeps_what_was_typed(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    desk.witness.expect(400)
    to_review(desk, port := free_port(), web)
    desk.press("Back")
    desk.press("Back")
    assert desk.here.get_by_role("radio", name="www", exact=True).is_checked()
    desk.press("Back")
    assert desk.field("Port").input_value() == str(port)
    desk.page.get_by_text("Advanced settings").click()
    desk.fill(Idle_timeout="60")
    for _ in range(3):
        desk.press("Next")
    desk.heading("Review")
    assert "60 s" in desk.page.get_by_role("region", name="Listener", exact=True).inner_text()


def test_a_private_key_is_nowhere_once_it_is_sent(store: ConsoleSite, desk: Desk) -> None:
    issued = Issued.root().issue("www.example.test")
    desk.witness.expect(400)
    first_step(desk, free_port())
    desk.press("Next")
    desk.press("Create a certificate …")
    desk.fill(Name="www", Certificate=issued.chain_pem.decode(), Private_key=issued.key_pem.decode())
    desk.confirm("Create")
    secret = issued.key_pem.decode().splitlines()[1]
    held = desk.page.evaluate(
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie,"
        " document.documentElement.outerHTML,"
        " [...document.querySelectorAll('input, textarea')].map((each) => each.value)])"
    )
    assert secret not in held
    assert json.loads(held)[:3] == [{}, {}, ""]


def test_leaving_the_wizard_offers_to_delete_what_was_created_on_the_way(store: ConsoleSite, desk: Desk) -> None:
    desk.witness.expect(400)
    first_step(desk, free_port())
    desk.press("Next")
    desk.self_signed("www", "www.example.test")
    desk.press("Cancel")
    desk.press("Leave and delete them")
    desk.heading("Listeners")
    with pytest.raises(RefusedError):
        store.call("GET", "/certificates/www")


def test_by_keyboard_alone(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    store.certificate()
    store.group("web", web)
    desk.witness.expect(400)
    port = free_port()
    desk.open("listeners")
    keys = desk.page.keyboard
    focus_by_tab(desk, "Create listener")
    keys.press("Enter")
    desk.heading("Configure listener")
    focus_by_tab(desk, "Port")
    keys.type(str(port))
    focus_by_tab(desk, "Address to listen on")
    keys.press("Control+A")
    keys.type("127.0.0.1")
    keys.press("Enter")  # the form's own button
    desk.heading("Configure certificate")
    focus_by_tab(desk, "www")
    keys.press("Space")
    focus_by_tab(desk, "Next")
    keys.press("Enter")
    desk.heading("Select server group")
    focus_by_tab(desk, "web")
    keys.press("Space")
    focus_by_tab(desk, "Next")
    keys.press("Enter")
    desk.heading("Review")
    focus_by_tab(desk, "Create listener")
    keys.press("Enter")
    desk.heading(f"tls-{port}")
    with tls_client(port) as client:
        assert isinstance(client, ssl.SSLSocket) and client.version() == "TLSv1.3"


NAME_OF_FOCUS = """() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.querySelector('strong') ?? element.labels?.[0];
    return (element.getAttribute('aria-label') ?? label?.innerText ?? element.innerText ?? '').trim();
}"""


def focus_by_tab(desk: Desk, name: str) -> None:
    """Tab until the element with this name has the focus; fails after a whole round."""
    seen = []
    for _ in range(80):
        desk.page.keyboard.press("Tab")
        seen.append(desk.page.evaluate(NAME_OF_FOCUS))
        if seen[-1] == name:
            return
    raise AssertionError(f"no way by Tab to {name!r}: {seen}")

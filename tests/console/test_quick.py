"""Quick creation: one dialog, everything created together or not at all."""

from __future__ import annotations

import pytest
from support.console import ConsoleSite, Desk, RefusedError
from support.procs import free_port
from support.site import certificate_of, tls_client


def test_one_dialog_to_a_listener_that_serves(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    port = free_port()
    desk.open("listeners")
    desk.press("Quick creation …")
    desk.fill(Port=str(port), Names_it_is_for="quick.example.test", Servers=f"{web[0]}:{web[1]}")
    desk.shot("quick")
    desk.press("Create")
    desk.page.get_by_text("Running").first.wait_for()
    with tls_client(port) as client:
        client.sendall(b"GET /7 HTTP/1.0\r\n\r\n")
        assert b"200 OK" in client.recv(1000)
    assert certificate_of(port)
    assert len(store.call("GET", "/revisions")["items"]) == 1, "one change, and not one for each part"


def test_with_what_there_is_already(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    store.certificate()
    store.group("web", web)
    port = free_port()
    desk.open("listeners")
    desk.press("Quick creation …")
    desk.fill(Port=str(port))
    desk.field("Server certificate").select_option("www")
    desk.field("TLS policy").select_option("tls_cipher_policy_1_2")
    desk.field("Server group").select_option("web")
    desk.press("Create")
    desk.page.get_by_text("Running").first.wait_for()
    [listener] = store.call("GET", "/listeners")["items"]
    assert (listener["port"], listener["certificate"], listener["security_policy"]) == (
        port,
        "www",
        "tls_cipher_policy_1_2",
    )


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_created(store: ConsoleSite, desk: Desk) -> None:
    desk.witness.expect(400)
    desk.open("listeners")
    desk.press("Quick creation …")
    desk.fill(Port="0", Names_it_is_for="quick.example.test", Servers="10.0.0.1:0")
    desk.press("Create")
    assert "65535" in desk.wrong_at("Port")
    assert desk.wrong_at("Servers")
    assert store.call("GET", "/certificates")["items"] == []
    with pytest.raises(RefusedError):
        store.call("GET", "/listeners/tls-0")

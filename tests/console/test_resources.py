"""What listeners are made of: server groups, certificates, and the history of all changes."""

from __future__ import annotations

import pytest
from support.certs import Issued
from support.console import ConsoleSite, Desk, RefusedError
from support.procs import free_port
from support.site import certificate_of


def test_weights_draining_and_health_with_its_reason(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    dead = free_port()
    quickly = {"interval": 1, "connect_timeout": 1}
    store.group("web", web, ("127.0.0.1", dead), health_check=quickly)
    desk.open("server-groups", "web")
    row = desk.page.locator("tr", has_text=f"127.0.0.1:{dead}")
    row.get_by_text("CONNECT_FAILED").wait_for()
    desk.page.locator("tr", has_text=str(web[1])).get_by_text("Healthy").wait_for()
    desk.shot("server-group")
    desk.press(f"Drain 127.0.0.1:{dead}")
    desk.confirm("Drain")
    row.get_by_text("Drained").wait_for()
    weights = {each["port"]: each["weight"] for each in store.call("GET", "/server-groups/web")["servers"]}
    assert weights == {web[1]: 100, dead: 0}
    desk.field(f"Weight of 127.0.0.1:{web[1]}").fill("50")
    desk.press(f"Set the weight of 127.0.0.1:{web[1]}")
    desk.noticed(f"127.0.0.1:{web[1]} has weight 50.")
    desk.press(f"Resume 127.0.0.1:{dead}")
    desk.noticed(f"127.0.0.1:{dead} has weight 100.")
    desk.press(f"Remove 127.0.0.1:{dead}")
    desk.confirm("Remove")
    row.wait_for(state="detached")
    desk.press("Add a server …")
    desk.fill(Address="127.0.0.1", Port=str(dead), Weight="1")
    desk.confirm("Add")
    row.wait_for()
    assert len(store.call("GET", "/server-groups/web")["servers"]) == 2


def test_what_is_in_use_is_not_deleted_and_says_by_what(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    store.certificate()
    store.group("web", web)
    store.listener("https")
    desk.witness.expect(409)
    desk.open("server-groups", "web")
    desk.press("Delete …")
    desk.here.get_by_role("alert").get_by_text("https").wait_for()
    desk.press("Cancel")
    store.call("GET", "/server-groups/web")


def test_a_certificate_is_replaced_in_place(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    store.certificate()
    store.group("web", web)
    port = store.listener("https")["port"]
    before = certificate_of(port)
    issued = Issued.root("Example CA").issue("www.example.test", "shop.example.test")
    desk.open("certificates")
    desk.page.get_by_role("link", name="www").click()
    desk.press("Replace …")
    upload = desk.here.get_by_label("Certificate: read from a file")
    both = issued.chain_pem + issued.key_pem
    upload.set_input_files({"name": "www.pem", "mimeType": "application/x-pem-file", "buffer": both})
    desk.press("Replace")
    desk.noticed("The certificate www is replaced.")
    desk.page.locator("dd", has_text="CN=Example CA").wait_for()
    desk.page.get_by_text("www.example.test and shop.example.test").wait_for()
    desk.shot("certificate")
    assert certificate_of(port) != before


def test_a_change_is_looked_at_and_gone_back_to(store: ConsoleSite, desk: Desk, web: tuple[str, int]) -> None:
    store.certificate()
    store.group("web", web)
    store.listener("https", idle_timeout=300)
    store.call("PATCH", "/listeners/https", {"idle_timeout": 60})
    store.call("DELETE", "/listeners/https")
    desk.open("history")
    desk.shot("history")
    numbers = [each["number"] for each in store.call("GET", "/revisions")["items"]]
    desk.page.get_by_role("link", name=str(numbers[1]), exact=True).click()
    row = desk.page.locator("tr", has_text="idle_timeout")
    row.wait_for()
    assert "300" in row.inner_text() and "60" in row.inner_text()
    desk.field("Compare with").select_option(str(numbers[0]))
    desk.page.locator("tr", has_text="removed").get_by_text("https").wait_for()
    desk.shot("revision")
    desk.press("Go back to this state …")
    desk.here.locator(".plan").get_by_text("listener https").wait_for()
    desk.press("Go back")
    desk.noticed(f"The state of revision {numbers[1]} is in force again.")
    assert store.call("GET", "/listeners/https")["idle_timeout"] == 60
    assert store.call("GET", "/revisions")["items"][0]["number"] > numbers[0]


def test_a_policy_that_is_not_used_is_deleted(store: ConsoleSite, desk: Desk) -> None:
    modern = {"name": "modern", "tls_versions": ["TLSv1.3"], "ciphers": ["TLS_AES_128_GCM_SHA256"]}
    store.call("POST", "/security-policies", modern)
    desk.open("security-policies")
    desk.page.get_by_role("link", name="modern").click()
    desk.press("Delete …")
    desk.press("Delete modern")
    desk.noticed("The security policy modern is deleted.")
    with pytest.raises(RefusedError):
        store.call("GET", "/security-policies/modern")


def test_the_system_policies_can_only_be_looked_at(store: ConsoleSite, desk: Desk) -> None:
    desk.open("security-policies", "tls_cipher_policy_1_2_strict_with_1_3")
    desk.page.get_by_text("ECDHE-ECDSA-AES128-GCM-SHA256").wait_for()
    assert desk.page.get_by_role("button", name="Delete …").count() == 0

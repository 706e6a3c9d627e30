"""Listeners once they are there: found, looked at, stopped, changed, deleted."""

from __future__ import annotations

import itertools
import re

import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName
from playwright.sync_api import Route
from support.certs import CLIENT, Issued
from support.console import ConsoleSite, Desk, RefusedError
from support.procs import wait_for
from support.site import serves, tls_client
from support.tls_client import TlsClient


def certificate_names(client: TlsClient) -> list[str]:
    leaf = client.tls.get_peer_certificate(as_cryptography=True)
    assert leaf is not None
    return leaf.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)


@pytest.fixture
def ready(store: ConsoleSite, web: tuple[str, int]) -> ConsoleSite:
    store.certificate()
    store.group("web", web)
    return store


def test_they_are_filtered_by_name_and_tag(ready: ConsoleSite, desk: Desk) -> None:
    for name, env in (("https", "production"), ("shop", "production"), ("trial", "test")):
        ready.listener(name, tags={"env": env})
    desk.open("listeners")
    rows = desk.page.locator("tbody tr")
    rows.nth(2).wait_for()
    desk.shot("listeners")
    desk.field("Filter by tag").select_option("env=production")
    desk.page.get_by_role("link", name="trial").wait_for(state="detached")
    wait_for(lambda: rows.count() == 2, "two rows")
    desk.field("Filter by name").fill("sho")
    desk.page.get_by_role("link", name="https").wait_for(state="detached")
    wait_for(lambda: rows.count() == 1, "one row")
    desk.field("Filter by name").fill("nothing like it")
    desk.heading("Nothing matches")


def test_many_are_shown_by_pages(ready: ConsoleSite, desk: Desk) -> None:
    document = ready.call("GET", "/export")
    document.pop("etag", None)
    stopped = {"protocol": "TCP", "address": "127.0.0.1", "server_group": "web", "enabled": False}
    document["listeners"] = [{"name": f"l{each:03}", "port": 20000 + each, **stopped} for each in range(60)]
    ready.call("POST", "/apply", document)
    desk.open("listeners")
    desk.page.get_by_text("1 to 50 of 60").wait_for()
    desk.press("Next")
    desk.page.get_by_text("51 to 60 of 60").wait_for()
    desk.page.get_by_role("link", name="l059").wait_for()
    desk.press("Previous")
    desk.page.get_by_role("link", name="l000").wait_for()


def test_the_page_of_one_is_alive(ready: ConsoleSite, desk: Desk) -> None:
    port = ready.listener("https")["port"]
    desk.open("listeners", "https")
    tile = desk.page.locator(".tile", has_text="Connections now")
    tile.get_by_text("0", exact=True).wait_for()
    with tls_client(port):
        tile.get_by_text("1", exact=True).wait_for()
        desk.page.locator(".chart .u-over").first.wait_for()
        desk.page.get_by_text("Open: 1").wait_for()
        desk.shot("listener")


def test_the_charts_show_what_the_counters_do(ready: ConsoleSite, desk: Desk) -> None:
    """The counters are made up, so that their growth is known; two readings are what a rate takes."""
    ready.listener("https")
    readings = itertools.count(1)

    def counted(route: Route) -> None:
        answer = route.fetch()
        times = next(readings)
        grown = {"accepted": 1000, "dropped_cps": 10, "bytes_up": 1 << 20, "bytes_down": 1 << 30}
        shook = {"handshakes_tlsv13": 600, "handshakes_tlsv13_resumed": 300, "failed_not_tls": 100}
        listener = answer.json()
        listener["state"]["counters"] = {name: value * times for name, value in {**grown, **shook}.items()}
        route.fulfill(response=answer, json=listener)

    desk.page.route("**/api/v1/listeners/https", counted)
    desk.open("listeners", "https")
    for title, keys in (
        ("New connections", ("Accepted", "Dropped")),
        ("Throughput", ("From clients", "To clients")),
        ("Handshakes", ("Full", "Resumed", "Failed")),
    ):
        chart = desk.page.locator(".chart", has_text=title)
        for key in keys:
            chart.get_by_text(re.compile(rf"{key}: [1-9][0-9.,]* ?\S*/s")).wait_for()
        chart.locator("canvas").wait_for()
    ratio = [
        float(re.sub("[^0-9.]", "", text)) for text in desk.page.locator(".key", has_text="/s").all_inner_texts()
    ]
    assert ratio[4] == pytest.approx(2 * ratio[5], rel=0.01), "twice as many full handshakes as resumed ones"


def test_stop_and_start(ready: ConsoleSite, desk: Desk) -> None:
    port = ready.listener("https")["port"]
    desk.open("listeners", "https")
    desk.press("Stop …")
    assert f"127.0.0.1:{port}" in desk.here.inner_text()
    desk.confirm("Stop")
    desk.page.get_by_text("Stopped").first.wait_for()
    assert not serves(port)
    desk.press("Start …")
    desk.confirm("Start")
    desk.page.get_by_text("Running").first.wait_for()
    tls_client(port).close()


def test_deleting_names_what_is_lost(ready: ConsoleSite, desk: Desk) -> None:
    port = ready.listener("https")["port"]
    desk.open("listeners", "https")
    desk.press("Delete …")
    said = desk.here.inner_text()
    assert f"127.0.0.1:{port}" in said and "server group web" in said and "certificate www" in said
    desk.here.locator(".plan").get_by_text("listener https").wait_for()
    desk.shot("delete")
    desk.confirm("Cancel")
    ready.call("GET", "/listeners/https")
    desk.press("Delete …")
    desk.press("Delete https")
    desk.noticed("The listener https is deleted.")
    with pytest.raises(RefusedError):
        ready.call("GET", "/listeners/https")


def test_only_what_was_changed_is_sent(ready: ConsoleSite, desk: Desk) -> None:
    ready.listener("https", cps=500, tags={"env": "production"})
    desk.open("listeners", "https", "edit")
    desk.page.get_by_text("Advanced settings").click()
    desk.fill(Idle_timeout="60")
    desk.shot("edit")
    with desk.page.expect_request(lambda request: request.method == "PATCH") as sent:
        desk.press("Save")
    assert sent.value.post_data_json == {"idle_timeout": 60}
    desk.heading("https")
    assert ready.call("GET", "/listeners/https")["idle_timeout"] == 60


def test_mutual_authentication_on_and_off_again(ready: ConsoleSite, desk: Desk) -> None:
    staff = Issued.root("Staff CA")
    alice = staff.issue(common_name="alice", usages=[CLIENT])
    port = ready.listener("https")["port"]
    desk.witness.expect(400)
    desk.open("listeners", "https", "edit")
    desk.field("Mutual authentication").check()
    desk.press("Add a CA certificate …")
    desk.fill(Name="staff", CA_certificates="no PEM")
    desk.press("Add")
    assert desk.wrong_at("CA certificates")
    desk.fill(CA_certificates=staff.pem.decode())
    desk.confirm("Add")
    desk.press("Save")
    desk.heading("https")
    desk.page.get_by_text("required, by").wait_for()
    ready.call("PATCH", "/listeners/https", {"client_certificate": None})  # as by default
    desk.page.reload()
    desk.page.get_by_text("required, by").wait_for()
    assert TlsClient(("127.0.0.1", port)).refused()
    with_certificate = TlsClient(("127.0.0.1", port), identity=alice)
    with_certificate.handshake().send(b"GET /3 HTTP/1.0\r\n\r\n")
    assert b"200 OK" in with_certificate.receive()
    with_certificate.close()
    desk.press("Switch off …")
    desk.confirm("Switch off")
    desk.noticed("Mutual authentication is off.")
    tls_client(port).close()
    assert ready.call("GET", "/listeners/https")["ca_certificate"] is None


def test_an_additional_certificate_is_chosen_by_the_name_asked_for(ready: ConsoleSite, desk: Desk) -> None:
    port = ready.listener("https")["port"]
    ready.certificate("shop", "shop.example.test")
    desk.open("listeners", "https", "edit")
    desk.page.get_by_text("Additional certificates").click()
    choices = desk.here.locator("fieldset", has_text="For other names")
    choices.get_by_role("checkbox", name="shop", exact=True).check()
    assert choices.get_by_role("checkbox", name="www", exact=True).is_disabled(), "it is the default one"
    desk.press("Save")
    desk.heading("https")
    for name in ("www.example.test", "shop.example.test"):
        client = TlsClient(("127.0.0.1", port), name=name.encode()).handshake()
        client.close()
        assert certificate_names(client) == [name]


def test_a_policy_of_ones_own_is_made_where_it_is_chosen(ready: ConsoleSite, desk: Desk) -> None:
    port = ready.listener("https")["port"]
    desk.open("listeners", "https", "edit")
    desk.press("Create a policy …")
    desk.fill(Name="modern")
    desk.here.get_by_label("TLSv1.2").uncheck()
    desk.press("Only forward secret AEAD ciphers")
    desk.shot("policy")
    desk.confirm("Create")
    desk.press("Save")
    desk.heading("https")
    listener = ready.call("GET", "/listeners/https")
    assert listener["security_policy"] == "modern"
    policy = ready.call("GET", "/security-policies/modern")
    assert policy["tls_versions"] == ["TLSv1.3"]
    assert policy["ciphers"] == ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    wait_for(lambda: TlsClient(("127.0.0.1", port), "TLSv1.2").refused(), "TLS 1.2 to be refused")

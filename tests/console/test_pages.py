"""Every page: no serious finding of axe in light and dark, and nothing wider than a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from support.certs import Issued
from support.console import ConsoleSite, Desk, Witness

PAGES = {
    "listeners": "https",
    "listeners/https": "Running",
    "listeners/https/edit": "Advanced settings",
    "create/listener": "Configure listener",
    "server-groups": "web",
    "server-groups/web": "Settings",
    "certificates": "www",
    "certificates/www": "Serial number",
    "ca-certificates": "staff",
    "ca-certificates/staff": "Intermediates at most",
    "security-policies": "system",
    "security-policies/modern": "TLS versions",
    "history": "in force",
    "history/1": "What it changed",
    "status": "Workers",
}
DIALOGS = {
    "listeners": "Quick creation …",
    "server-groups": "Create server group …",
    "certificates": "Create certificate …",
    "ca-certificates": "Add CA certificate …",
    "security-policies": "Create policy …",
}
SERIOUS = {"serious", "critical"}


@pytest.fixture
def furnished(store: ConsoleSite, web: tuple[str, int]) -> ConsoleSite:
    store.certificate()
    store.call("POST", "/ca-certificates", {"name": "staff", "certificate_pem": Issued.root("Staff CA").pem.decode()})
    modern = {"name": "modern", "tls_versions": ["TLSv1.3"], "ciphers": ["TLS_AES_128_GCM_SHA256"]}
    store.call("POST", "/security-policies", modern)
    store.group("web", web, ("127.0.0.1", 9), health_check={"interval": 1})
    store.listener("https", tags={"env": "production"}, ca_certificate="staff")
    store.listener("stopped", enabled=False)
    return store


def findings(page: Page) -> list[str]:
    """Of axe, those that keep somebody out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out(
    furnished: ConsoleSite, new_page: Callable[..., tuple[Page, Witness]], scheme: str
) -> None:
    desk = Desk(*new_page(color_scheme=scheme), furnished)
    for where, text in PAGES.items():
        desk.open(where)
        desk.page.locator("main").get_by_text(text).first.wait_for()
        assert findings(desk.page) == [], where
        desk.shot(f"{where.replace('/', '-')}-{scheme}")
    for where, button in DIALOGS.items():
        desk.open(where)
        desk.press(button)
        desk.page.locator("dialog").wait_for()
        assert findings(desk.page) == [], button
        desk.shot(f"dialog-{where}-{scheme}")
        desk.confirm("Close")


def test_every_page_fits_a_phone(furnished: ConsoleSite, new_page: Callable[..., tuple[Page, Witness]]) -> None:
    desk = Desk(*new_page(viewport={"width": 360, "height": 740}, has_touch=True), furnished)
    for where, text in PAGES.items():
        desk.open(where)
        desk.page.locator("main").get_by_text(text).first.wait_for()
        width = desk.page.evaluate("() => document.scrollingElement.scrollWidth")
        assert width <= 360, where
        desk.shot(f"{where.replace('/', '-')}-phone")
    for where, button in DIALOGS.items():
        desk.open(where)
        desk.press(button)
        dialog = desk.page.locator("dialog")
        dialog.wait_for()
        assert dialog.evaluate("element => element.scrollWidth <= element.clientWidth"), button
        desk.shot(f"dialog-{where}-phone")
        desk.confirm("Close")


def test_the_theme_can_be_chosen_and_is_kept(store: ConsoleSite, desk: Desk) -> None:
    def ground() -> str:
        return str(desk.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))

    desk.open("listeners")
    light = ground()
    desk.field("Theme").select_option("dark")
    dark = ground()
    assert dark != light
    desk.page.reload()
    desk.heading("Listeners")
    assert ground() == dark


def test_an_address_that_is_none_says_so(store: ConsoleSite, desk: Desk) -> None:
    desk.open("nowhere")
    desk.heading("There is no such page")
    desk.witness.expect(404)
    desk.open("listeners", "gone")
    desk.heading("There is no listener gone")

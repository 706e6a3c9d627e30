"""A browser for all tests, a daemon and a page for each; every test also demands that the page kept to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support import servers
from support.console import ConsoleSite, Desk, Witness

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 30_000  # milliseconds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Its driver runs a loop of its own in this thread, so it ends with these tests: others have loops too."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A web server: GET /100 has a body of 100 bytes."""
    with servers.running("http", tmp_path_factory.mktemp("web")) as address:
        yield address


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with servers.running("echo", tmp_path_factory.mktemp("echo")) as address:
        yield address


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ConsoleSite]:
    """Not started yet."""
    made = ConsoleSite(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def store(site: ConsoleSite) -> ConsoleSite:
    """Started, with nothing in it."""
    return site.start()


@pytest.fixture
def new_page(browser: Browser, site: ConsoleSite) -> Iterator[Callable[..., tuple[Page, Witness]]]:
    """new_page(**options of the context): as often as there are people."""
    made: list[tuple[Page, Witness]] = []

    def begin(**options: object) -> tuple[Page, Witness]:
        wide = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"}
        page = browser.new_context(**{**wide, **options}).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        made.append((page, Witness(page, site)))
        return made[-1]

    yield begin
    for page, witness in made:
        page.context.close()
        witness.assert_clean()


@pytest.fixture
def desk(new_page: Callable[..., tuple[Page, Witness]], site: ConsoleSite) -> Desk:
    return Desk(*new_page(), site)

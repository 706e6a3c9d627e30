"""A daemon with a console, and a browser that looks at it.

site = ConsoleSite(folder); site.start()          # store mode: empty, and the console may change everything
site.call("POST", "/listeners", {...})             # the API, as somebody beside the console uses it
desk = Desk(page, site); desk.open("listeners")
desk.create_self_signed("www", "www.example.test")
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request

from support.procs import ROOT, Program, free_port

SHOTS = ROOT / "build" / "console"
FAILED_LOAD = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


class RefusedError(Exception):
    """The API's refusal; `problem` is its body."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


class ConsoleSite:
    """A folder, and the daemon that runs in it; `resources` makes it one of file mode."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.program: Program | None = None
        self.token = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/console/"

    @property
    def tokens_file(self) -> Path:
        return self.folder / "tokens"

    def start(self, *, tokens: bool = False, resources: dict[str, Any] | None = None) -> ConsoleSite:
        admin = {"listen": f"127.0.0.1:{self.port}", **({"tokens_file": str(self.tokens_file)} if tokens else {})}
        settings = {"version": 1, "workers": 1, "run_dir": str(self.folder / "run"), "admin": admin}
        file = self.folder / "fastnlb.yaml"
        file.write_text(json.dumps({**settings, **(resources or {})}))
        state = [] if resources is not None else ["--state-dir", str(self.folder / "state")]
        self.program = Program(["-m", "fastnlb", "run", "-c", str(file), *state], self.folder / "output")
        self.program.wait_line("ready")
        return self

    def kill(self) -> None:
        if self.program is not None:
            self.program.kill()
            assert "Traceback" not in self.program.output()
            self.program = None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON.  Raises RefusedError."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(error.code, json.load(error)) from None

    def group(self, name: str = "web", *servers: tuple[str, int], **more: Any) -> Any:
        listed = [{"address": host, "port": port} for host, port in servers]
        return self.call("POST", "/server-groups", {"name": name, "servers": listed, **more})

    def certificate(self, name: str = "www", host: str = "www.example.test") -> Any:
        return self.call("POST", "/certificates", {"name": name, "self_signed": [host]})

    def listener(self, name: str, **more: Any) -> Any:
        """A TLS listener on loopback and a free port, on `www` and `web`."""
        standard = {"protocol": "TCPSSL", "address": "127.0.0.1", "certificate": "www", "server_group": "web"}
        return self.call("POST", "/listeners", {"name": name, "port": free_port(), **standard, **more})


class Witness:
    """What a page must not do: write errors to the console, fail in script, ask another host for anything."""

    def __init__(self, page: Page, site: ConsoleSite) -> None:
        self._host = urlsplit(site.url).netloc
        self._allowed: set[int] = set()
        self._refused: list[int] = []
        self.faults: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._on_request)

    def expect(self, *statuses: int) -> None:
        """Answers with these statuses are part of the test; 0 is no answer at all."""
        self._allowed.update(statuses)

    def assert_clean(self) -> None:
        assert self.faults == []
        assert set(self._refused) <= self._allowed, f"answers with {self._refused}"

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if status := FAILED_LOAD.match(message.text):
            self._refused.append(int(status[1]))
        elif message.text.startswith("Failed to load resource: net::ERR_"):
            self._refused.append(0)
        else:
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        there = urlsplit(request.url)
        if there.scheme not in ("data", "blob") and there.netloc != self._host:
            self.faults.append(f"asked of another host: {request.url}")


class Desk:
    """The console as a person uses it; what is done often, in words."""

    def __init__(self, page: Page, witness: Witness, site: ConsoleSite) -> None:
        self.page, self.witness, self.site = page, witness, site

    def open(self, *where: str) -> None:
        self.page.goto(f"{self.site.url}#/{'/'.join(where)}")
        self.page.locator("h1").first.wait_for()

    def press(self, name: str, *, exact: bool = True) -> None:
        """The button with this name, in the dialog on top if there is one; a name that ends with … opens one more."""
        dialogs = self.page.locator("dialog[open]")
        before = dialogs.count()
        self.here.get_by_role("button", name=name, exact=exact).first.click()
        if name.endswith("…"):
            dialogs.nth(before).wait_for()

    def confirm(self, name: str) -> None:
        """Presses a button of a dialog, which is gone afterwards."""
        self.press(name)
        self.page.locator("dialog").wait_for(state="detached")

    @property
    def here(self) -> Locator:
        """The dialog on top, or the page."""
        dialogs = self.page.locator("dialog[open]")
        count = dialogs.count()
        return dialogs.nth(count - 1) if count else self.page.locator("body")

    def fill(self, **fields: str) -> None:
        """Fields by their labels, with _ for spaces."""
        for label, text in fields.items():
            self.field(label.replace("_", " ")).fill(text)

    def field(self, label: str) -> Locator:
        return self.here.get_by_label(label, exact=True)

    def choose(self, name: str) -> None:
        """The radio button with this name."""
        self.here.get_by_role("radio", name=name, exact=True).check()

    def heading(self, text: str) -> None:
        """Waits for a heading."""
        self.page.get_by_role("heading", name=text, exact=True).first.wait_for()

    def wrong_at(self, label: str) -> str:
        """What is said to be wrong at a field: the text that describes it to a screen reader too."""
        field = self.field(label)
        self.page.wait_for_function(
            "element => element.getAttribute('aria-invalid') === 'true'", arg=field.element_handle()
        )
        ids = (field.get_attribute("aria-describedby") or "").split()
        wrong = next(each for each in ids if each.endswith("-error"))
        return self.page.locator(f"#{wrong}").inner_text()

    def wrong_in(self, legend: str) -> str:
        """The same for a group of choices."""
        group = self.here.locator("fieldset").filter(has=self.page.locator("legend", has_text=legend)).last
        group.locator(".wrong").first.wait_for()
        return group.locator(".wrong").first.inner_text()

    def noticed(self, text: str) -> None:
        self.page.get_by_role("status").get_by_text(text).wait_for()

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    # What the wizard's steps need

    def self_signed(self, name: str, host: str) -> None:
        """In the step or page that is open: a certificate to try with."""
        self.press("Create a certificate …")
        self.field("Self-signed, to try with").check()
        self.fill(Name=name, Names_it_is_for=host)
        self.confirm("Create")

    def new_group(self, name: str, host: str, port: int) -> None:
        self.press("Create a server group …")
        self.fill(Name=name, Address_of_server_1=host, Port_of_server_1=str(port))
        self.confirm("Create")

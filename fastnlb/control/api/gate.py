"""Who may come in, and with how much: asked before a request is looked at any further.

By the admin socket comes whoever may open it, and may do everything.  By the port come bearers of tokens (RFC 6750);
a token's role says whether they may change anything.  Without a file of tokens the port is on a loopback address, as
the configuration demands, and everybody on this machine may do everything; then the request has to be for a loopback
name, so that no web page can make a browser ask by a name of its own (DNS rebinding).  A browser that says which page
it asks for has to be on one of ours.

Whoever shows wrong tokens too often is not listened to for a while.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastnlb.config.tokens import WRITE, Tokens, TokensError, read_tokens
from fastnlb.control.api.errors import ApiError
from fastnlb.control.api.intake import Intake
from fastnlb.control.launch import Door
from fastnlb.signature import Signature, signature

if TYPE_CHECKING:
    from fastnlb.control.run import Control

log = logging.getLogger("fastnlb.control")

FORBIDDEN = "Forbidden.NoPermission"
OPEN = ("/", "/healthz", "/readyz", "/console")
OPEN_BELOW = "/console/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_ATTEMPTS = 10
ATTEMPT_SECONDS = 60.0
MOST_ADDRESSES = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `uid:0`, `loopback` or the name of a token, as the history of changes shows it.

    `local`: by the admin socket, as a user of this machine who could read the daemon's files.
    """

    name: str
    role: str
    local: bool = False


class Gate:
    """The application behind it sees who asks in `request.state.caller`."""

    def __init__(self, app: ASGIApp, control: Control, door: Door) -> None:
        self._app = app
        self._door = door
        path = control.settings.tokens_file
        self._tokens = None if path is None else TokensFile(Path(path))
        self._attempts = Attempts()
        self._intake = Intake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = send if scope["path"].startswith(OPEN_BELOW) else _uncached(send)
        try:
            caller = self._admit(scope)
        except ApiError as refusal:
            await refusal.response()(scope, receive, send)
            return
        # What answers GET answers HEAD: the server leaves the body out.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        seen = {**scope, "method": method, "state": {"caller": caller}}

        async def answer(message: Message) -> None:
            scope["route"] = seen.get("route")  # for whoever counts
            await send(message)

        with suppress(Exception), self._intake.body(scope["path"], receive) as receive_some:
            await self._app(seen, receive_some, answer)  # what it raises was answered and logged (errors.on_fault)

    def _admit(self, scope: Scope) -> Caller | None:
        """Raises ApiError.  None for what anybody may see."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self._door.trusted:
            return Caller(scope["client"][0], WRITE, local=True)
        _check_origin(headers)
        if self._tokens is None:
            _check_host(headers)
            return Caller("loopback", WRITE)
        if scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW):
            return None
        caller = self._bearer(headers, scope["client"][0])
        if caller.role != WRITE and scope["method"] not in SAFE_METHODS:
            raise ApiError(HTTPStatus.FORBIDDEN, f"the token {caller.name} may only read", code=FORBIDDEN)
        return caller

    def _bearer(self, headers: MutableMapping[bytes, str], address: str) -> Caller:
        assert self._tokens is not None  # noqa: S101 - for the type checker
        wait = self._attempts.wait(address)
        if wait > 0:
            again = {"Retry-After": str(int(wait) + 1)}
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens from this address", headers=again)
        scheme, _, presented = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not presented:
            detail = "this needs a token: Authorization: Bearer fnlb_..."
            raise ApiError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
        token = self._tokens.current().bearer(presented.strip())
        if token is None:
            self._attempts.failed(address)
            wrong = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ApiError(HTTPStatus.UNAUTHORIZED, "this token is not known here", headers=wrong)
        return Caller(token.name, token.role)


class TokensFile:
    """The tokens as they are now.  A change counts at once.

    Of a file that makes no sense, such as one that is half written, what it last said counts; of one that cannot be
    read, nothing.  Both are said once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Signature | None = None
        self._tokens = Tokens(())
        self._told = ""

    def current(self) -> Tokens:
        now = signature(self._path)
        if now == self._seen:
            return self._tokens
        try:
            self._tokens, self._seen, self._told = read_tokens(self._path), now, ""
        except TokensError as error:
            if isinstance(error.__cause__, OSError):
                self._tokens, self._seen = Tokens(()), None
            if str(error) != self._told:
                self._told = str(error)
                log.error("admin.tokens_file: %s", error)
        return self._tokens


class Attempts:
    """Wrong tokens by address.  `clock` in seconds, for tests."""

    def __init__(self, clock: Any = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[float, int]] = {}  # until when they count, and how many

    def failed(self, address: str) -> None:
        until, count = self._failed.pop(address, (0.0, 0))
        if until < (now := self._clock()):
            until, count = now + ATTEMPT_SECONDS, 0
        if len(self._failed) >= MOST_ADDRESSES:
            del self._failed[next(iter(self._failed))]
        self._failed[address] = (until, count + 1)

    def wait(self, address: str) -> float:
        """Seconds until this address is listened to again; 0 = now."""
        until, count = self._failed.get(address, (0.0, 0))
        return max(0.0, until - self._clock()) if count >= MOST_ATTEMPTS else 0.0


def _check_origin(headers: MutableMapping[bytes, str]) -> None:
    origin = headers.get(b"origin")
    if origin is None:
        return
    page = _split(origin).netloc  # nothing for `null`, which sandboxed pages have
    if not page or page != headers.get(b"host"):
        raise ApiError(HTTPStatus.FORBIDDEN, "this is asked for by a page of another origin", code=FORBIDDEN)


def _check_host(headers: MutableMapping[bytes, str]) -> None:
    host = _split(f"//{headers.get(b'host', '')}").hostname or ""
    if host != "localhost" and not _is_loopback(host):
        detail = "without tokens only loopback names are answered, such as 127.0.0.1 or localhost"
        raise ApiError(HTTPStatus.FORBIDDEN, detail, code=FORBIDDEN)


def _split(text: str) -> SplitResult:
    """As urlsplit; nothing of what is no URL."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _uncached(send: Send) -> Send:
    """What is answered is true at this moment: no browser is to keep it."""

    async def send_so(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"cache-control", b"no-store")]}
        await send(message)

    return send_so

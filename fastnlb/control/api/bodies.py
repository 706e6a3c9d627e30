"""What a request says: its body, its query and its conditions, read strictly.  Everything here raises ApiError."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request

from fastnlb.control.api.errors import ApiError
from fastnlb.control.api.gate import Caller

MOST_KEY = 64
_BOOLEANS = {"true": True, "1": True, "": True, "false": False, "0": False}


async def mapping(request: Request, kinds: Iterable[str] = ("application/json",)) -> dict[str, Any]:
    """The JSON object of the body."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in kinds:
        detail = f"the body has to be JSON: Content-Type: {next(iter(kinds))}"
        raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    try:
        found = json.loads(await request.body(), object_pairs_hook=_without_twins, parse_constant=_no_number)
    except ClientDisconnect:
        raise ApiError(HTTPStatus.BAD_REQUEST, "the client went before the end of its request") from None
    except RecursionError:
        raise ApiError(HTTPStatus.BAD_REQUEST, "not JSON: nested too deep") from None
    except ValueError as error:  # of the decoder, of the text's encoding, or of ours
        raise ApiError(HTTPStatus.BAD_REQUEST, f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "the body has to be a JSON object")
    return found


def flag(request: Request, name: str) -> bool:
    """A query parameter that is true or false."""
    value = request.query_params.get(name, "false").lower()
    if value not in _BOOLEANS:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{name} takes true or false")
    return _BOOLEANS[value]


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A query parameter that is a whole number from `low` to `high`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and low <= int(text) <= high):
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{name} takes a whole number from {low} to {high}")
    return int(text)


def only(request: Request, *names: str) -> None:
    """No other query parameter is known: a misspelt one would not do what is hoped."""
    for name in request.query_params:
        if name not in names:
            known = f"those here are {', '.join(names)}" if names else "there are none here"
            raise ApiError(HTTPStatus.BAD_REQUEST, f"unknown query parameter {name[:MOST_KEY]!r}; {known}")


def token_of(request: Request) -> str:
    """The Idempotency-Key, or ""."""
    token = request.headers.get("idempotency-key", "")
    if len(token) > MOST_KEY or not token.isascii() or not token.isprintable():
        raise ApiError(HTTPStatus.BAD_REQUEST, f"Idempotency-Key takes up to {MOST_KEY} printable ASCII characters")
    return token


def caller_of(request: Request) -> Caller:
    caller = request.state.caller
    assert isinstance(caller, Caller)  # noqa: S101 - for the type checker
    return caller


def check_match(request: Request, etag: str | None, current: dict[str, Any] | None) -> None:
    """If-Match and If-None-Match (RFC 9110 section 13.1) against what there is; None: there is nothing."""
    wanted, unwanted = (request.headers.get(name) for name in ("if-match", "if-none-match"))
    missed = wanted is not None and (etag is None or not names(wanted, etag))
    if missed or (unwanted is not None and etag is not None and names(unwanted, etag)):
        detail = "it has been changed by somebody else meanwhile" if etag is not None else "it is not there any more"
        raise ApiError(HTTPStatus.PRECONDITION_FAILED, detail, code="Conflict.Etag", current=current)


def names(header: str, etag: str) -> bool:
    """Whether If-Match or If-None-Match names this version."""
    return header.strip() == "*" or f'"{etag}"' in [each.strip().removeprefix("W/") for each in header.split(",")]


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin[:MOST_KEY]!r} is given twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")

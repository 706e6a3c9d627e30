"""One way for every request that changes something: repeated ones, dry runs, and refusals with their statuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastnlb.control.api.bodies import caller_of, flag, token_of
from fastnlb.control.api.errors import LATER, ApiError
from fastnlb.control.desired.desired import Desired
from fastnlb.control.desired.edits import ConflictError, InvalidError, MissingError
from fastnlb.control.desired.writes import Done, Edit, Invalid, Made, Refused, Wish, Writer
from fastnlb.control.store.errors import NoSuchRevision, StoreBusy, StoreConflict, StoreError, StoreFull

if TYPE_CHECKING:
    from fastnlb.control.run import Control

READ_ONLY = "OperationDenied.ReadOnly"

Show = Callable[[Made], dict[str, Any]]
"""The answer, besides what has changed."""


class Changes:
    """What routes make changes by; in a daemon without a store each of them is refused."""

    def __init__(self, control: Control, desired: Desired) -> None:
        self.desired = desired
        self._control = control
        self._writer: Writer | None = None

    async def make(
        self,
        request: Request,
        edit: Edit,
        summary: str,
        show: Show = lambda _made: {},
        *,
        sent: object = None,
    ) -> Response:
        """`sent` is the body, which tells a repeated request from another with its Idempotency-Key."""
        writer = self._writable()
        try:
            wish = Wish(
                edit,
                caller_of(request).name,
                summary,
                dry_run=flag(request, "dry_run"),
                token=token_of(request),
                signature=_signature(request, sent),
            )
            done = await writer.make(wish, lambda made: {**show(made), "change": made.as_json()})
        except Exception as error:
            raise refusal(error) from error
        return _response(done, dry_run=wish.dry_run)

    def _writable(self) -> Writer:
        if self._writer is None:
            loader = self.desired.loader
            if loader is None:
                raise ApiError(HTTPStatus.CONFLICT, self.desired.read_only_reason or "read-only", code=READ_ONLY)
            self._writer = Writer(self._control, loader)
        return self._writer


def refusal(error: Exception) -> Exception:
    """What goes wrong underneath, as clients are told; faults of ours stay what they are."""
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, RecursionError):  # JSON may be deeper than everything that looks at it
        return ApiError(HTTPStatus.BAD_REQUEST, "nested too deep")
    for kind, (status, usual) in _STATUSES.items():
        if isinstance(error, kind):
            code = getattr(error, "code", "") or usual
            errors = _errors_of(error)
            detail = f"{errors[0]['path']}: {error}" if isinstance(error, InvalidError) and error.path else str(error)
            headers = LATER if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
            return ApiError(status, detail, code=code, errors=errors, headers=headers)
    return error


_STATUSES: dict[type[Exception], tuple[int, str]] = {
    InvalidError: (HTTPStatus.BAD_REQUEST, ""),
    MissingError: (HTTPStatus.NOT_FOUND, ""),
    ConflictError: (HTTPStatus.CONFLICT, ""),
    Invalid: (HTTPStatus.BAD_REQUEST, ""),
    NoSuchRevision: (HTTPStatus.NOT_FOUND, "ResourceNotFound.revision"),
    StoreBusy: (HTTPStatus.SERVICE_UNAVAILABLE, "SystemBusy"),
    StoreConflict: (HTTPStatus.SERVICE_UNAVAILABLE, "SystemBusy"),
    StoreFull: (HTTPStatus.INSUFFICIENT_STORAGE, ""),
    StoreError: (HTTPStatus.INTERNAL_SERVER_ERROR, ""),
}
"""The first that fits; an error may bring a code of its own."""


def _errors_of(error: Exception) -> list[dict[str, Any]]:
    if isinstance(error, Invalid):
        return error.errors
    if isinstance(error, InvalidError):
        return [{"path": error.path, "message": str(error), **({"code": error.code} if error.code else {})}]
    return []


def _refused(error: Refused) -> ApiError:
    detail = str(error) or "the daemon does not serve it"
    if error.later:
        return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, detail, code="SystemBusy", headers=LATER)
    return ApiError(HTTPStatus.CONFLICT, f"nothing has changed: {detail}", lines=list(error.lines))


def _signature(request: Request, sent: object) -> str:
    text = json.dumps([request.method, request.url.path, sent], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _response(done: Done, *, dry_run: bool) -> Response:
    answer = done.answer
    response = JSONResponse(answer, HTTPStatus.CREATED if done.created and not dry_run else HTTPStatus.OK)
    if done.repeated:
        response.headers["Idempotent-Replay"] = "true"
    if "etag" in answer:
        response.headers["ETag"] = f'"{answer["etag"]}"'
    if answer["change"]["revision"] is not None:
        response.headers["Fastnlb-Revision"] = str(answer["change"]["revision"])
    return response

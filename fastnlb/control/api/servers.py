"""The servers of a group one by one: added, changed in weight, drained (weight 0), removed."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fastnlb.config.schema import ServerBlock
from fastnlb.config.schema_types import literal_address, split_host_port
from fastnlb.control.api.bodies import check_match, mapping, only
from fastnlb.control.api.changes import Changes
from fastnlb.control.desired.desired import Desired
from fastnlb.control.desired.edits import ConflictError, MissingError, find, merged, put, refuse_unknown_nulls
from fastnlb.control.desired.kinds import SERVER_GROUPS
from fastnlb.control.desired.state import etag_of
from fastnlb.control.desired.writes import Edited, Made
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document
from fastnlb.model import UNIX, place

Servers = list[dict[str, Any]]


def routes(desired: Desired, changes: Changes) -> APIRouter:
    router = APIRouter(prefix="/api/v1/server-groups/{name}/servers", tags=["server-groups"])

    @router.post("", summary="Add a server", status_code=HTTPStatus.CREATED)
    async def add_server(request: Request, name: str) -> Response:
        only(request, "dry_run")
        sent = await mapping(request)

        def change(servers: Servers) -> Servers:
            if any(_place(each) == _place(sent) for each in servers):
                raise ConflictError(f"{_place(sent)} is a server of {name} already", "DuplicatedParam.Server")
            return [*servers, sent]

        summary = f"add server {_place(sent)} to server group {name}"
        return await _change(request, name, change, summary, sent=sent, created=True)

    @router.patch("/{server:path}", summary="Change a server, such as its weight")
    async def update_server(request: Request, name: str, server: str) -> Response:
        only(request, "dry_run")
        sent = await mapping(request, ("application/json", "application/merge-patch+json"))

        def change(servers: Servers) -> Servers:
            place_of = _find(servers, name, server)
            refuse_unknown_nulls(sent, ServerBlock.model_fields)
            return [merged(each, sent) if _place(each) == place_of else each for each in servers]

        return await _change(request, name, change, f"update server {server} of server group {name}", sent=sent)

    @router.delete("/{server:path}", summary="Remove a server; its connections end as the group's drain says")
    async def remove_server(request: Request, name: str, server: str) -> Response:
        only(request, "dry_run")

        def change(servers: Servers) -> Servers:
            place_of = _find(servers, name, server)
            return [each for each in servers if _place(each) != place_of]

        return await _change(request, name, change, f"remove server {server} from server group {name}")

    async def _change(
        request: Request,
        name: str,
        change: Callable[[Servers], Servers],
        summary: str,
        *,
        sent: object = None,
        created: bool = False,
    ) -> Response:
        def edit(document: Document, _store: Store) -> Edited:
            held = find(document, SERVER_GROUPS, name)
            check_match(request, etag_of(held), desired.views_of(document).of(SERVER_GROUPS, held))
            group = {**held, "servers": change(held.get("servers", []))}
            return Edited(put(document, SERVER_GROUPS, group), (SERVER_GROUPS, name), created)

        def show(made: Made) -> dict[str, Any]:
            return desired.views_of(made.document).of(SERVER_GROUPS, find(made.document, SERVER_GROUPS, name))

        return await changes.make(request, edit, summary, show, sent=sent)

    return router


def _find(servers: Servers, group: str, server: str) -> str:
    """The place that `server` spells.  Raises MissingError."""
    found = split_host_port(server)
    wanted = _spelt(server) if found is None else place(*found)
    if not any(_place(each) == wanted for each in servers):
        raise MissingError(f"there is no server {server} in server group {group}", "ResourceNotFound.server")
    return wanted


def _place(server: dict[str, Any]) -> str:
    """`10.0.0.1:80`, as it stands in paths, however it is spelt; of what is no server, something."""
    address, port = server.get("address"), server.get("port")
    return place(_spelt(str(address)), port if isinstance(port, int) else 0)


def _spelt(address: str) -> str:
    """The one way to spell an address or a name."""
    if address.startswith(UNIX):
        return address
    literal = literal_address(address)
    return address.lower() if literal is None else str(literal)

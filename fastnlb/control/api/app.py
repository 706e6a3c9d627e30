"""The API as one application: every route, and how refusals are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from fastnlb import __version__
from fastnlb.control.api import console, daemon, listeners, openapi, resources, revisions, servers, whole
from fastnlb.control.api.changes import Changes
from fastnlb.control.api.errors import ApiError, on_api_error, on_fault, on_http_error, on_invalid
from fastnlb.control.desired.desired import Desired

if TYPE_CHECKING:
    from fastnlb.control.run import Control


def make_app(control: Control) -> FastAPI:
    app = FastAPI(title="fastnlb", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_fault)
    app.add_exception_handler(RequestValidationError, on_invalid)
    desired = Desired(control)
    changes = Changes(control, desired)
    routers = (
        daemon.routes(control, desired),
        listeners.routes(control, desired, changes),
        servers.routes(desired, changes),
        resources.routes(desired, changes),
        whole.routes(desired, changes),
        revisions.routes(desired, changes),
    )
    app.state.routes = [*app.routes, *(route for router in routers for route in router.routes)]
    for router in routers:
        app.include_router(router)
    app.routes.extend(console.routes())
    openapi.install(app)
    return app

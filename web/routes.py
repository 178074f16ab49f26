"""The addresses of the pages. `api/app.py` includes them behind its edge."""

from collections.abc import Callable, Sequence
from functools import partial

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import compile_path

from web import (
    account,
    activity,
    assets,
    chat,
    deliveries,
    docs,
    faults,
    first_visit,
    keys,
    models,
    pages,
    plan,
    privacy,
    purges,
    sign_in,
    statements,
    studio,
    webhooks,
)
from web.api import Api, Fault
from web.faults import Problem
from web.shares import SharedPages, missing
from web.visit import Page, Suspended, begin, bounded, recognize

ROBOTS = "User-agent: *\nDisallow: /api/\nDisallow: /v1/\n"
"""Shared pages are not in it: a crawler must see that they say noindex."""
PAGES: Sequence[Page] = (
    *first_visit.PAGES,
    *sign_in.PAGES,
    *chat.PAGES,
    *studio.PAGES,
    *models.PAGES,
    *statements.PAGES,
    *activity.PAGES,
    *keys.PAGES,
    *deliveries.PAGES,
    *webhooks.PAGES,
    *privacy.PAGES,
    *plan.PAGES,
    *account.PAGES,
    *purges.PAGES,
    *docs.PAGES,
)
"""Every page of the web app."""
_PLACES = frozenset(page.path for page in PAGES)
_SHOWN = [compile_path(page.path)[0] for page in PAGES if "GET" in page.methods]
_KEYS = {"authorization", "x-api-key"}
_UNAUTHORIZED = 401
_SEE_OTHER = 303
_PAGE: dict[str, object] = {"content": {"text/html": {"schema": {"type": "string"}}}}
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"description": "The page", **_PAGE},
    404: {"description": "There is no such page, or no longer", **_PAGE},
    503: {"description": "The page cannot be shown for the moment", **_PAGE},
}


def pages_router(api: Callable[[Request], Api]) -> APIRouter:
    """Return the routes of the web app's pages. `api` is called per request: resources exist only after the start."""
    routes = APIRouter()
    for page in PAGES:
        if "GET" not in page.methods:  # before a page with a parameter in its place
            routes.add_route(page.path, _above, methods=["GET"], include_in_schema=False)
    for page in PAGES:
        shown = partial(_shown, page, api)
        routes.add_route(page.path, shown, methods=list(page.methods), include_in_schema=False)
    return routes


def router(shared_pages: Callable[[Request], SharedPages]) -> APIRouter:
    """Return the routes of shared pages and static files. The argument is called per request."""
    routes = APIRouter(tags=["share"])

    async def shared(request: Request) -> Response:
        return await shared_pages(request).answer(request.path_params["slug"], gzip=pages.takes_gzip(request))

    async def nothing() -> Response:
        return missing()

    slug = {"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}}
    routes.add_api_route(
        "/c/{slug:path}",
        shared,
        methods=["GET"],
        summary="A shared page, for everybody who has its address",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra={"parameters": [slug]},
    )
    routes.add_api_route("/c", nothing, methods=["GET"], include_in_schema=False)
    routes.add_api_route(assets.PATH, _asset, methods=["GET"], include_in_schema=False)
    routes.add_api_route("/robots.txt", _robots, methods=["GET"], include_in_schema=False)
    return routes


async def _asset(request: Request) -> Response:
    answer = pages.asset(request)
    if answer is None:
        raise HTTPException(404)
    return answer


async def _above(request: Request) -> Response:
    """Lead from an address that only takes a form to the page above it.

    A browser comes there after signing in, after a change of the theme, and by its address bar.
    """
    path = request.url.path.rpartition("/")[0]
    while path and not any(shown.match(path) for shown in _SHOWN):
        path = path.rpartition("/")[0]
    return RedirectResponse(path or "/", _SEE_OTHER, {"cache-control": "no-store"})


async def _robots() -> Response:
    return PlainTextResponse(ROBOTS)


async def _shown(page: Page, api: Callable[[Request], Api], request: Request) -> Response:
    """Answer a request for a page, whatever comes of it. A program with a key wants an endpoint, and is told so."""
    if not _KEYS.isdisjoint(request.headers.keys()):
        raise HTTPException(404)
    request = request if page.files else bounded(request)
    visit = begin(request, api(request), _PLACES)
    try:
        visit.api.require_same_origin()
        if page.with_account:
            visit = await recognize(visit)
        if page.needs_account and visit.account is None:
            return visit.to_sign_in()
        answer = await page.show(visit)
    except Fault as fault:
        if fault.status == _UNAUTHORIZED:
            return visit.to_sign_in()
        again = fault.retry_after if request.method == "GET" else None
        problem = Problem(fault.status, fault.message, again, request.state.request_id, isinstance(fault, Suspended))
        answer = faults.page(problem, request)
    return pages.packed(answer, request)

"""The addresses of the pages. `api/app.py` includes them behind its edge."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from web import assets, pages
from web.shares import SharedPages, missing

ROBOTS = "User-agent: *\nDisallow: /api/\nDisallow: /v1/\n"
"""Shared pages are not in it: a crawler must see that they say noindex."""
_PAGE: dict[str, object] = {"content": {"text/html": {"schema": {"type": "string"}}}}
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"description": "The page", **_PAGE},
    404: {"description": "There is no such page, or no longer", **_PAGE},
    503: {"description": "The page cannot be shown for the moment", **_PAGE},
}


def router(shared_pages: Callable[[Request], SharedPages]) -> APIRouter:
    """Return the routes. `shared_pages` is called per request, because its resources exist only after the start."""
    routes = APIRouter(tags=["share"])

    async def shared(request: Request) -> Response:
        return await shared_pages(request).answer(request.path_params["slug"], gzip=pages.takes_gzip(request))

    async def nothing() -> Response:
        return missing()

    async def asset(request: Request) -> Response:
        answer = pages.asset(request)
        if answer is None:
            raise HTTPException(404)
        return answer

    async def robots() -> Response:
        return PlainTextResponse(ROBOTS)

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
    routes.add_api_route(assets.PATH, asset, methods=["GET"], include_in_schema=False)
    routes.add_api_route("/robots.txt", robots, methods=["GET"], include_in_schema=False)
    return routes

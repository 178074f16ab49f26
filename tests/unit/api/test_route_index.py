"""The route of a request, found by the beginning of its path."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Match, Route, replace_params

from api.app import Gateway, create_app
from api.cors import Cors
from api.route_index import RouteIndex


@asynccontextmanager
async def nothing(_: object) -> AsyncIterator[None]:
    yield


@pytest.fixture
def app() -> Gateway:
    return create_app(nothing, max_body_bytes=1000, cors=Cors())


def test_it_finds_what_would_be_found_one_after_another(app: Gateway) -> None:
    index, known = RouteIndex([]), []
    for context in iter_route_contexts(app.router.routes):
        if isinstance(context.original_route, RouteIndex):
            index = context.original_route
        elif isinstance(context.original_route, Route) and context.original_route not in app.router.routes:
            known.append(context.original_route)
    compared = 0
    for route in known:
        values = dict.fromkeys(route.param_convertors, "01a22e01-6bae-756f-8691-909cc8ca3632")
        path, _ = replace_params(route.path_format, route.param_convertors, values)
        for method in route.methods or ():
            scope = {"type": "http", "method": method, "path": path, "headers": []}
            _, found = index.matches(scope)
            assert found["route"] is next(one for one in known if one.matches(scope)[0] is Match.FULL), (method, path)
            compared += 1
    assert compared > 200


def test_it_leaves_the_rest_to_others(app: Gateway) -> None:
    index = next(route for route in app.router.routes if isinstance(route, RouteIndex))
    for method, path in (("POST", "/activity"), ("GET", "/no/such"), ("GET", ""), ("GET", "/api/billing/usage")):
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        assert index.matches(scope) == (Match.NONE, {})


async def test_a_page_is_counted_by_its_route(app: Gateway) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as http:
        assert (await http.get("/privacy/history")).status_code == 303
    samples = [sample for metric in app.figures.collect() for sample in metric.samples]
    assert {sample.labels["route"] for sample in samples if "route" in sample.labels} == {"/privacy/history"}

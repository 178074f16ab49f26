from collections.abc import AsyncIterator

import pytest

from tests.support.doubles.http_apps import App, DirectApp, Impatient, Server, served


@pytest.fixture(params=[App, DirectApp], ids=["asgi", "direct"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with served(request.param()) as server:
        yield server


@pytest.fixture(params=[App, DirectApp], ids=["asgi", "direct"])
async def impatient(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with served(request.param(), Impatient) as server:
        yield server

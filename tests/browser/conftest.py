"""One server with pages and one Chromium for all tests in a real browser; and who sits in front of it."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, expect

from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from temporal import attributes
from tests.support import chromium
from tests.support.own_stack import own_stack
from tests.support.pages_site import OPEN, PASSWORD, SAME_ORIGIN, network
from tests.support.stack import Stack
from tests.support.watched_page import OBSERVED

expect.set_options(timeout=30_000)  # milliseconds: as long as an action of Playwright waits, on a busy machine too
VISITOR_MESSAGES = 2
"""Free messages of a visitor's day."""


@pytest.fixture(scope="package")
def site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    started = own_stack(postgres, tmp_path_factory, "browser")
    started.extra = OPEN | {"YOUT_VISITOR_MESSAGES_DAY": str(VISITOR_MESSAGES)}
    with started.running("api"):
        yield started


@pytest.fixture(scope="package")
def whole_site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With Temporal and a worker: jobs end, webhooks are sent, and purges are complete."""
    with EmbeddedTemporal.temporary(attributes.DEFINITIONS) as temporal:
        started = own_stack(postgres, tmp_path_factory, "whole", temporal=temporal.address)
        started.extra = OPEN | {"YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true"}
        with started.running("worker"), started.running("api"):
            yield started


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def program() -> AsyncIterator[Browser]:
    async with chromium.running() as browser:
        yield browser


NewContext = Callable[..., Awaitable[BrowserContext]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def new_context(program: Browser) -> AsyncIterator[NewContext]:
    """Opens browsers of people, each in a network of its own, whose limits are then its own too."""
    async with AsyncExitStack() as opened:

        async def made(**more: Any) -> BrowserContext:
            context = await program.new_context(reduced_motion="reduce", extra_http_headers=network(), **more)
            opened.push_async_callback(context.close)
            await context.add_init_script(OBSERVED)
            return context

        yield made


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def visitor(new_context: NewContext) -> BrowserContext:
    """Without an account."""
    return await new_context()


class Member:
    """Somebody who is signed in: in a browser, and by the API as its pages call it."""

    def __init__(self, context: BrowserContext, api: httpx2.AsyncClient) -> None:
        self.context = context
        self.api = api

    async def post(self, path: str, body: object) -> dict[str, Any]:
        answer = await self.api.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())


NewMember = Callable[..., Awaitable[Member]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def new_member(new_context: NewContext) -> AsyncIterator[NewMember]:
    """Opens accounts, and browsers that are signed in."""
    async with AsyncExitStack() as opened:

        async def made(site: Stack, email: str = "", **more: Any) -> Member:
            api = httpx2.AsyncClient(base_url=site.url, headers=SAME_ORIGIN | network(), timeout=30)
            await opened.enter_async_context(api)
            credentials = {"email": email or f"{uuid.uuid4().hex}@example.com", "password": PASSWORD}
            answer = await api.post("/api/auth/signup/", json=credentials)
            assert answer.is_success, answer.text
            context = await new_context(**more)
            cookies = [{"name": name, "value": value, "url": site.url} for name, value in api.cookies.items()]
            await context.add_cookies(cookies)  # type: ignore[arg-type]  # a TypedDict of theirs
            return Member(context, api)

        yield made

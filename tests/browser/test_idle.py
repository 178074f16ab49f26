"""A page that is open and that nobody touches costs the server nothing."""

import pytest
from playwright.async_api import Request

from tests.browser import filled
from tests.browser.conftest import NewMember
from tests.support.stack import Stack
from tests.support.watched_page import Watched
from web import routes, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOURS = 12
PAGES = [
    page.path
    for page in routes.PAGES
    if "GET" in page.methods and not set("{.") & set(page.path) and page.path != "/privacy/export"
]
DOORS = {page.path for page in sign_in.PAGES} | {"/"}
"""These lead on whoever is signed in."""


async def test_a_page_at_rest_asks_for_nothing(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    key = await member.post("/api/chat/keys/", {"name": "laptop", "scopes": ["chat"]})
    await filled.called(member, key["key"])
    watched = await Watched.of(member.context, site.url)
    await watched.page.clock.install()
    requests: list[str] = []

    def sent(request: Request) -> None:
        requests.append(request.url)

    costly = {}
    for path in PAGES:
        if path in DOORS:
            continue
        await watched.open(path)
        watched.page.on("request", sent)
        for _ in range(HOURS):
            await watched.page.clock.fast_forward("01:00:00")
            await watched.settled()
        watched.page.remove_listener("request", sent)
        if requests:
            costly[path] = requests.copy()
            requests.clear()
    assert costly == {}
    await watched.page.close()

"""The guide and the reference in a real browser: axe in both themes, narrow screens, and what Ctrl K finds."""

import re

import pytest
from playwright.async_api import BrowserContext, expect

from tests.support.stack import Stack
from tests.support.watched_page import AXE, NARROW, RULES, WIDE, Watched, axe
from web import guide, reference

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESSES = [
    *(topic.address for topic in guide.topics().values() if topic.group),
    *(f"/docs/api/{tag}" for tag in reference.TAGS),
    "/docs?q=idempotency",
]
"""The decisions have the same template and nothing but text: one is among the pages that `test_every_page.py` opens."""


EXAMINED = {"/docs/quickstart", "/docs/providers", "/docs/comparison", "/docs/api/chat", "/docs?q=idempotency"}
"""By axe, beside those that `test_every_page.py` opens: with each element that Markdown or a schema can become."""


async def test_every_page_of_the_docs_is_whole_on_a_narrow_screen(site: Stack, visitor: BrowserContext) -> None:
    watched = await Watched.of(visitor, site.url)
    await watched.resize(NARROW)
    for address in ADDRESSES:
        await watched.open(address)
        assert await watched.width() <= NARROW, address
        violations = await examined(watched) if address in EXAMINED else []
        assert violations + watched.faults + await watched.overweight(address) == [], address
    await watched.page.close()


async def examined(watched: Watched) -> list[str]:
    await watched.resize(WIDE)
    await watched.page.evaluate(axe())
    violations: list[str] = await watched.page.evaluate(AXE, list(RULES))
    await watched.page.emulate_media(color_scheme="dark")
    violations += await watched.page.evaluate(AXE, ["color-contrast"])
    await watched.page.emulate_media(color_scheme="light")
    await watched.resize(NARROW)
    return violations


async def test_jump_to_leads_into_the_docs(site: Stack, visitor: BrowserContext) -> None:
    watched = await Watched.of(visitor, site.url)
    await watched.open("/docs")
    await watched.page.keyboard.press("Control+k")
    await watched.page.get_by_role("combobox").fill("api idempotency")
    await watched.settled()  # each list that comes is drawn anew, and would take the option from under the mouse
    await watched.page.get_by_role("option", name="Idempotency The API").click()
    await expect(watched.page).to_have_url(re.compile(r"/docs/api-guide#idempotency$"))
    assert watched.faults == []
    await watched.page.close()

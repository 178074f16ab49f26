"""Every page in a real browser: axe, the console, the policy, other servers, narrow screens, and what it weighs."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from tests.browser import filled
from tests.browser.conftest import Member, NewContext, NewMember
from tests.support.stack import Stack
from tests.support.watched_page import CSS, KB, PHONE, WIDE, Watched
from web import routes, sign_in
from web.visit import Page as OurPage

pytestmark = pytest.mark.asyncio(loop_scope="session")

GET = [page for page in routes.PAGES if "GET" in page.methods and not re.search(r"\.\w+$|/export$", page.path)]
"""What is no page, such as a list as CSV, is a file."""
ALIKE = {page.path for page in sign_in.PAGES} | {"/"}
"""Pages that lead on whoever is signed in, or that are the same for everybody."""
SEEN = [
    *(("visitor", page) for page in GET if not page.needs_account),
    *(("member", page) for page in GET if page.path not in ALIKE),
]


@pytest.fixture(scope="module")
def site(whole_site: Stack) -> Stack:
    return whole_site


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(site: Stack, new_member: NewMember) -> Member:
    return await new_member(site, filled.long_email(), permissions=["clipboard-read", "clipboard-write"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ids(owner: Member) -> Mapping[str, str]:
    return await filled.fill(owner)


@pytest.fixture
def contexts(visitor: BrowserContext, owner: Member) -> Mapping[str, BrowserContext]:
    return {"visitor": visitor, "member": owner.context}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tabs(site: Stack, visitor: BrowserContext, owner: Member) -> Mapping[str, Watched]:
    """One for all pages that somebody sees: to open one costs as much as a page."""
    return {
        "visitor": await Watched.of(visitor, site.url),
        "member": await Watched.of(owner.context, site.url),
    }


@pytest.mark.parametrize(("who", "page"), SEEN, ids=[f"{who} {page.path}" for who, page in SEEN])
async def test_a_page_is_whole(who: str, page: OurPage, tabs: Mapping[str, Watched], ids: Mapping[str, str]) -> None:
    watched = tabs[who]
    watched.faults.clear()
    answer = await watched.open(filled.address(page, ids))
    assert answer.status == 200
    assert "/sign-in" not in answer.url or page.path == "/sign-in"
    faults = await watched.overweight(page.path) + await watched.layout_shifts()
    assert faults + await watched.examine() + await watched.small_targets() + watched.faults == []


async def test_every_page_renders_without_a_script(
    site: Stack, owner: Member, ids: Mapping[str, str], new_context: NewContext
) -> None:
    context = await new_context(java_script_enabled=False)
    page = await context.new_page()
    visited = [one for one in GET if one.path in ALIKE]
    owned = [one for one in GET if one.path not in ALIKE]
    for one in visited + owned:
        if one is owned[0]:
            await context.add_cookies(await owner.context.cookies())  # type: ignore[arg-type]  # their TypedDicts differ
        answer = await page.goto(site.url + filled.address(one, ids))
        assert answer is not None
        assert answer.status == 200, one.path
        assert await page.locator("h1:visible").count() == 1, one.path
        assert await page.locator("yout-copy:visible, yout-jump:visible, yout-reveal:visible").count() == 0, one.path
    await page.close()


async def test_a_shared_page_is_whole(site: Stack, visitor: BrowserContext, ids: Mapping[str, str]) -> None:
    watched = await Watched.of(visitor, site.url)
    await watched.open(f"/c/{ids['slug']}")
    weight = await watched.weight()
    assert await watched.examine() + watched.faults == []
    assert (weight.js, weight.css <= CSS, weight.html <= 40 * KB) == (0, True, True)
    await watched.page.close()


async def test_a_phone_shows_where_a_delivery_goes(tabs: Mapping[str, Watched], ids: Mapping[str, str]) -> None:
    watched = tabs["member"]
    await watched.open("/webhooks/deliveries")
    await watched.resize(PHONE)
    await expect(watched.page.locator("td[data-label=To]").first).to_be_visible()
    await watched.resize(WIDE)


async def token(page: Page) -> None:
    await page.get_by_label("Name", exact=True).fill(filled.NAME)
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.locator("#token")).to_be_visible()
    await page.get_by_role("button", name="Copy").first.click()


async def fault_at_a_field(page: Page) -> None:
    await page.get_by_label("Name", exact=True).fill(filled.NAME)
    await page.get_by_label("Requests a minute").fill("many")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.locator("#requests-fault")).to_be_visible()
    await expect(page.get_by_label("Requests a minute")).to_be_focused()


async def wrong_password(page: Page) -> None:
    await page.get_by_label("E-mail").fill(filled.long_email())
    await page.get_by_label("Password", exact=True).fill("another one")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#password-fault")).to_be_visible()
    await expect(page.get_by_label("Password", exact=True)).to_be_focused()


async def jump(page: Page) -> None:
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("option", name="demo-chat").first).to_be_visible()


async def shortcuts(page: Page) -> None:
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()


async def menu(page: Page) -> None:
    await page.set_viewport_size({"width": PHONE, "height": 800})
    await page.get_by_role("link", name="Menu", exact=True).click()
    await expect(page.get_by_role("link", name="Close the menu")).to_be_visible()


async def nothing(page: Page) -> None:
    await expect(page.locator("h1")).to_be_visible()


class Moment(NamedTuple):
    """What a page is after something was done: a fault, an open dialog, a token."""

    who: str
    path: str
    status: int
    come: Callable[[Page], Awaitable[None]]


MOMENTS = [
    Moment("member", "/keys/new", 200, token),
    Moment("member", "/keys/new", 400, fault_at_a_field),
    Moment("visitor", "/sign-in", 401, wrong_password),
    Moment("member", "/keys", 200, jump),
    Moment("member", "/keys", 200, shortcuts),
    Moment("member", "/keys", 200, menu),
    Moment("visitor", "/models?q=nothing-has-this", 200, nothing),
    Moment("visitor", "/nothing", 404, nothing),
    Moment("visitor", "/c/nothing", 404, nothing),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=[moment.come.__name__ for moment in MOMENTS])
async def test_a_moment_is_whole(
    moment: Moment, site: Stack, contexts: Mapping[str, BrowserContext], ids: Mapping[str, str]
) -> None:
    watched = await Watched.of(contexts[moment.who], site.url)
    await watched.open(moment.path)
    watched.status = moment.status
    await moment.come(watched.page)
    await watched.settled()
    assert await watched.examine() + watched.faults == []
    await watched.page.close()

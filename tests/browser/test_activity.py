"""Charges in a list: a click anywhere in a row explains it, beside the list or on a page of its own."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import NewMember
from tests.browser.filled import called
from tests.support.pages_site import SAME_ORIGIN
from tests.support.stack import Stack

DARK = 300
"""Red, green and blue together, of 765 that white has."""
INK = """
() => {
  const {color} = getComputedStyle(document.querySelector("#receipt b"));
  return color.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
}
"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_click_in_a_row_explains_its_charge(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    key = await member.post("/api/chat/keys/", {"name": "laptop", "scopes": ["chat"]})
    for _ in range(2):
        await called(member, key["key"])
    oldest = (await member.api.get("/api/billing/charges/")).json()["data"][-1]["id"]
    page = await member.context.new_page()
    await page.goto(f"{site.url}/activity")
    await expect(page.locator("#charge-id")).not_to_have_text(oldest)
    row, come = page.locator(".charges tbody tr").last, asyncio.Event()

    async def held(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await page.route(f"**/activity/charges/{oldest}", held)
    cell = row.locator("td").nth(2)
    await cell.click()
    await expect(row).to_have_attribute("aria-selected", "true")
    await expect(page.locator("yout-panel[aria-busy] #charge-id")).not_to_have_text(oldest)
    come.set()
    await expect(page.locator("#charge-id")).to_have_text(oldest)
    assert page.url == f"{site.url}/activity"

    await page.set_viewport_size({"width": 900, "height": 800})
    await cell.click()
    await page.wait_for_url(f"{site.url}/activity/charges/{oldest}")
    await page.close()


async def test_charges_are_walked_and_explained_by_keyboard(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    key = await member.post("/api/chat/keys/", {"name": "laptop", "scopes": ["chat"]})
    for _ in range(2):
        await called(member, key["key"])
    newest, oldest = [one["id"] for one in (await member.api.get("/api/billing/charges/")).json()["data"]]
    page = await member.context.new_page()
    await page.goto(f"{site.url}/activity")
    links, shown = page.locator("a[data-panel]"), page.locator("#charge-id")
    await expect(page.locator("yout-panel:defined")).to_have_count(1)
    await page.keyboard.press("j")
    await expect(links.first).to_be_focused()
    await page.keyboard.press("j")
    await expect(links.last).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(shown).to_have_text(oldest)
    await expect(page.locator("#receipt")).to_be_focused()
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(shown).to_have_text(newest)
    await expect(page.locator("#receipt")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(shown).to_have_count(0)
    await expect(links.first).to_be_focused()
    await page.close()


async def test_a_receipt_is_printed_dark_on_white_and_without_the_frame(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site, color_scheme="dark")
    key = await member.post("/api/chat/keys/", {"name": "laptop", "scopes": ["chat"]})
    await called(member, key["key"])
    [charge] = (await member.api.get("/api/billing/charges/")).json()["data"]
    page = await member.context.new_page()
    for theme in ("system", "dark"):
        await member.context.request.post(
            f"{site.url}/theme", form={"theme": theme, "next": "/keys"}, headers=SAME_ORIGIN
        )
        await page.goto(f"{site.url}/activity/charges/{charge['id']}")
        await page.emulate_media(media="print")
        assert await page.evaluate(INK) < DARK, theme
        await expect(page.locator("#receipt .sum > li").first).to_be_visible()
        await expect(page.locator(".side, .head, .skip").filter(visible=True)).to_have_count(0)
        await page.emulate_media(media="screen")
        assert await page.evaluate(INK) > DARK, theme
    await page.close()

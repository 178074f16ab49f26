"""Charges in a list: a click anywhere in a row explains it, beside the list or on a page of its own."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewMember
from tests.browser.filled import called
from tests.support.stack import Stack

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
    cell = page.locator(".charges tbody tr").last.locator("td").nth(2)
    await cell.click()
    await expect(page.locator("#charge-id")).to_have_text(oldest)
    assert page.url == f"{site.url}/activity"

    await page.set_viewport_size({"width": 900, "height": 800})
    await cell.click()
    await page.wait_for_url(f"{site.url}/activity/charges/{oldest}")
    await page.close()

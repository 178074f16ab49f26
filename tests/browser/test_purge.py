"""Erasing everything in a browser: its page ends as a receipt, with scripts or without."""

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewMember
from tests.browser.filled import MESSAGES
from tests.support import receipt_verifier
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = 60_000
"""Milliseconds. How long a purge may take on a busy machine."""


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
async def test_a_purge_ends_in_a_receipt(
    scripts: bool, whole_site: Stack, new_member: NewMember, tmp_path: Path
) -> None:
    member = await new_member(whole_site, java_script_enabled=scripts)
    await member.post("/api/chat/conversations/", {"messages": MESSAGES, "title": "A chat"})
    page = await member.context.new_page()
    await page.goto(f"{whole_site.url}/privacy")
    balance = await page.locator(".funds b").inner_text()
    await page.get_by_role("link", name="Erase everything…").click()
    await page.get_by_label("Write the word erase").fill("erase")
    await page.get_by_role("button", name="Erase everything").click()
    await expect(page.locator("h1")).to_have_text("Everything was erased", timeout=LONG)
    await expect(page.locator(".certificate")).to_contain_text("1 erased, 0 left")
    await expect(page.locator(".funds b")).to_have_text(balance)

    async with page.expect_download() as downloaded:
        await page.get_by_role("link", name="Receipt", exact=True).click()
    await (await downloaded.value).save_as(tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text("utf-8"))
    keys = (await member.api.get("/.well-known/yout-receipts.json")).json()
    assert receipt_verifier.is_valid(receipt, keys)
    assert receipt["balance"]["before"] == receipt["balance"]["after"] == int(balance.replace(",", ""))
    await page.close()

"""Pages in a browser whose scripts are off: their forms work all the same."""

import re
import uuid

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewContext, NewMember
from tests.browser.filled import called
from tests.support.pages_site import PASSWORD
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def signed_up(page: Page, url: str) -> str:
    email = f"{uuid.uuid4().hex}@example.com"
    await page.goto(f"{url}/sign-up?next=/keys")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page).to_have_url(f"{url}/keys")
    return email


async def test_an_account_and_its_keys_need_no_script(site: Stack, new_context: NewContext) -> None:
    context = await new_context(java_script_enabled=False)
    page = await context.new_page()
    email = await signed_up(page, site.url)
    await expect(page.get_by_text("No key yet")).to_be_visible()

    await page.get_by_role("link", name="New key").first.click()
    await page.get_by_label("Name", exact=True).fill("laptop")
    await page.get_by_role("button", name="Make the key").click()
    shown = await page.locator("#token").inner_text()
    await page.get_by_role("link", name="laptop", exact=True).click()
    await page.get_by_role("button", name="Rotate").click()
    assert re.fullmatch(r"yout-\w{40,}", rotated := await page.locator("#token").inner_text())
    assert rotated != shown

    await page.get_by_role("link", name="laptop", exact=True).click()
    await page.get_by_role("button", name="Revoke").click()
    await expect(page.get_by_text("No key yet")).to_be_visible()

    await page.get_by_role("button", name="Theme").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(f"{site.url}/")

    await page.goto(f"{site.url}/sign-in?next=/account")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill("another one")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#password-fault")).to_be_visible()
    await expect(page.get_by_label("E-mail")).to_have_value(email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="Switch them off").click()
    await expect(page.get_by_role("button", name="Switch them on")).to_be_visible()


async def test_charges_are_filtered_and_the_playground_says_what_it_needs(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site, java_script_enabled=False)
    keys = [await member.post("/api/chat/keys/", {"name": name, "scopes": ["chat"]}) for name in ("ci", "laptop")]
    for key in keys:
        await called(member, key["key"])
    page = await member.context.new_page()
    await page.goto(f"{site.url}/activity")
    rows = page.locator(".charges tbody tr")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Key", exact=True).select_option("laptop")
    await page.get_by_role("button", name="Show").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("laptop")
    await rows.get_by_role("link").click()
    await expect(page).to_have_url(re.compile("/activity/charges/"))
    await page.goto(f"{site.url}/chat")
    await expect(page.locator("noscript strong")).to_be_visible()  # no search by text looks into it
    await page.close()


async def test_models_are_filtered_without_a_script(site: Stack, new_context: NewContext) -> None:
    context = await new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{site.url}/models")
    await page.get_by_label("Search models").fill("demo-chat")
    await page.get_by_label("Search models").press("Enter")
    await expect(page).to_have_url(re.compile(r"[?&]q=demo-chat"))
    await page.get_by_role("link", name="Calls tools").click()
    await expect(page).to_have_url(re.compile(r"q=demo-chat.*has=tools"))
    for name, address, order in (("Output", "sort=-output", "descending"), ("Output", "sort=output", "ascending")):
        await page.get_by_role("columnheader", name=name).get_by_role("link").click()
        await expect(page).to_have_url(re.compile(rf"q=demo-chat.*{address}.*has=tools"))
        await expect(page.locator("th[aria-sort]")).to_have_text(name)
        await expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", order)
    await page.locator("nav[aria-label=Kind] a", has_text="Image").click()
    await expect(page).to_have_url(re.compile(r"kind=image"))

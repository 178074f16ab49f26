"""Pages by the keyboard alone, and what they leave behind: a token is in one answer and nowhere else."""

import asyncio
import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Dialog, Error, Page, Response, Route, expect

from tests.browser.conftest import NewContext, NewMember
from tests.support.pages_site import PASSWORD
from tests.support.stack import Stack
from tests.support.watched_page import copied
from web import numbers

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_TABS = 80
FOCUS = """
() => {
  const {outlineStyle, outlineWidth, translate} = getComputedStyle(document.activeElement);
  const {width, height, bottom} = document.activeElement.getBoundingClientRect();
  return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && width > 0 && height > 0 && bottom > 0;
}
"""
"""Whether the element with the focus shows it."""


async def tab_to(page: Page, selector: str, key: str = "Tab") -> None:
    """Go on until the element has the focus. It is seen at each step. `key` leads there: `Shift+Tab` goes back."""
    for _ in range(MAX_TABS):
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        await page.keyboard.press(key)
        assert await page.evaluate(FOCUS), await page.evaluate("document.activeElement.outerHTML")
    pytest.fail(f"Tab does not lead to {selector}")


async def test_an_account_and_a_key_by_keyboard_alone(site: Stack, new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.goto(f"{site.url}/sign-up?next=/keys")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.keyboard.type(f"{uuid.uuid4().hex}@example.com")
    await tab_to(page, "#password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}/keys")

    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("n")
    await page.wait_for_url(f"{site.url}/keys/new")
    await expect(page.get_by_label("Name", exact=True)).to_be_focused()
    await page.keyboard.type("n?")
    await tab_to(page, "input[value=keys]")
    await page.keyboard.press("Space")
    await tab_to(page, ".ends button")
    await page.keyboard.press("Enter")
    await expect(page.locator("#token")).to_be_visible()
    await expect(page.get_by_text("keys", exact=False).first).to_be_visible()
    await page.close()


async def test_a_chat_its_charge_and_a_purge_by_keyboard_alone(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/chat?model=demo-chat-slow")
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.keyboard.type("[seconds=30] Count to 200.")
    await page.keyboard.press("Enter")
    await expect(page.locator(".answer .prose")).to_contain_text("3")
    await page.keyboard.press("Escape")
    await expect(page.locator(".thread > .note")).to_contain_text("Stopped.")
    await expect(page.get_by_label("Your message")).to_be_focused()
    await tab_to(page, ".answer .cost a", "Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("A charge explained")

    await page.goto(f"{site.url}/privacy")
    await tab_to(page, "a[href='/privacy/erase']")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}/privacy/erase")
    await tab_to(page, "#confirm")
    await page.keyboard.type("erase")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/privacy/purges/"))
    await page.close()


async def test_a_token_is_in_one_answer_and_nowhere_else(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site, permissions=["clipboard-read", "clipboard-write"])
    page = await member.context.new_page()
    shown: list[tuple[str, str]] = []
    dialogs: list[str] = []
    answers: list[Response] = []
    token_like = re.compile(rb"yout-\w{40,}")

    async def leave(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        await dialog.accept()

    async def read() -> None:
        """Read what has come, before the browser forgets it with its page."""
        while answers:
            answer = answers.pop(0)
            with suppress(Error):  # a redirect has no body
                if token_like.search(await answer.body()):
                    shown.append((answer.request.method, answer.headers["cache-control"]))

    page.on("response", lambda answer: answers.append(answer))
    page.on("dialog", leave)
    await page.goto(f"{site.url}/keys/new")
    await page.get_by_label("Name", exact=True).fill("once")
    await read()
    await page.get_by_role("button", name="Make the key").click()
    token = await page.locator("#token").inner_text()
    assert token.startswith("yout-")
    await page.wait_for_load_state()
    await read()

    await page.locator(".nav a", has_text="Models").click()
    await page.wait_for_url(f"{site.url}/models")
    assert dialogs == ["beforeunload"]
    await read()
    with suppress(Error):  # the browser may refuse to show what was not kept
        await page.go_back()
    await expect(page.get_by_text(token)).to_have_count(0)
    await read()
    await page.goto(f"{site.url}/keys")
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, document.title])"
    assert token not in await page.evaluate(stored)
    assert token not in await page.content()
    assert token not in site.log("api")
    await read()
    assert shown == [("POST", "no-store")]
    await page.close()


async def test_jumping_leads_there_and_the_focus_comes_back(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    await member.post("/api/chat/keys/", {"name": "<b>my</b> notebook", "scopes": ["chat"]})
    page = await member.context.new_page()
    await page.goto(f"{site.url}/account")
    await page.get_by_label("New address").focus()
    await page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Jump to")
    await expect(field).to_be_focused()
    await expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "false")
    await page.keyboard.press("Escape")
    await expect(field).to_have_count(0)
    await expect(page.get_by_label("New address")).to_be_focused()

    await page.keyboard.press("Control+k")
    await page.keyboard.type("notebook")
    await expect(page.get_by_role("option")).to_have_text([re.compile("^<b>my</b> notebook")])
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/keys/[0-9a-f-]{36}$"))
    await page.keyboard.press("Control+k")
    await page.keyboard.type("notebook")  # before the script of the field is there
    await expect(field).to_have_value("notebook")
    await page.keyboard.press("Escape")
    await expect(field).to_have_count(0)
    await page.get_by_role("button", name="Jump to").click()
    await expect(field).to_be_focused()
    await page.keyboard.type("model demo-chat")
    await expect(page.get_by_role("option").first).to_contain_text("demo-chat")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/models/demo-chat"))
    await page.close()


async def test_a_row_that_is_pressed_while_more_come_leads_there(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    rest = asyncio.Event()

    async def held(route: Route) -> None:
        await rest.wait()
        await route.continue_()

    await page.route("**/api/chat/models/", held)
    await page.goto(f"{site.url}/keys")
    await page.keyboard.press("Control+k")
    await page.get_by_role("option", name="Studio").hover()
    await page.mouse.down()
    rest.set()
    await expect(page.get_by_role("option", name="demo-chat-slow")).to_have_count(1)
    await page.mouse.up()
    await page.wait_for_url(re.compile("/studio"))
    await page.close()


async def test_letters_are_listed_and_can_be_switched_off(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/keys")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Shortcuts").get_by_text("New key")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.goto(f"{site.url}/account")
    await page.get_by_role("button", name="Switch them off").click()
    await expect(page.get_by_role("button", name="Switch them on")).to_be_visible()
    await page.goto(f"{site.url}/keys")
    for pressed in ("?", "n"):
        await page.keyboard.press(pressed)
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Jump to")).to_be_focused()
    await expect(page).to_have_url(f"{site.url}/keys")
    await page.close()


async def test_a_relative_time_goes_on(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.clock.install()
    await page.goto(f"{site.url}/account")
    times = page.locator("yout-time:defined time")
    await expect(times).to_have_text(["just now", "just now"])
    await page.clock.fast_forward("02:00:10")
    await expect(times).to_have_text(["2 hours ago", "2 hours ago"])
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    ahead = (30, 60, 3_590, 7_199, 7_200, 86_340, 172_799, 172_800, 601_000, 2_591_999, 5_184_000, 63_071_999)
    moments = [now + timedelta(seconds=seconds * way) for seconds in ahead for way in (1, -1)]
    script = await page.locator("script[src*='/js/']").first.get_attribute("src")
    assert script is not None
    written = await page.evaluate(
        "async ([at, now, moments]) => { const {relative} = await import(at);"
        " return moments.map((moment) => relative(new Date(moment), new Date(now))); }",
        [re.sub(r"/js/.*", "/js/time.js", script), now.isoformat(), [moment.isoformat() for moment in moments]],
    )
    assert written == [numbers.relative(moment, now) for moment in moments]
    await page.close()


async def test_a_session_that_ends_while_a_page_is_open_loses_nothing(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    page = await member.context.new_page()
    await page.clock.install()
    await page.goto(f"{site.url}/keys/new")
    await page.get_by_label("Name", exact=True).fill("half a name")
    assert (await member.api.post("/api/auth/logout/")).is_success
    await page.clock.fast_forward("05:00")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.get_by_role("alert")).to_contain_text("You are signed out. Your text is still here.")
    async with page.expect_popup() as popup:
        await page.get_by_role("link", name="Sign in").click()
    await expect(await popup.value).to_have_url(f"{site.url}/sign-in")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("half a name")
    await page.close()


async def test_the_menu_of_a_phone_gives_the_focus_back(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site, viewport={"width": 390, "height": 800})).context.new_page()
    await page.goto(f"{site.url}/keys")
    button = page.get_by_role("link", name="Menu", exact=True)
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Close the menu")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Menu")).to_have_count(0)
    await expect(button).to_be_focused()
    await page.close()


async def test_models_are_walked_filtered_copied_and_tried(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site, permissions=["clipboard-read", "clipboard-write"])
    page = await member.context.new_page()
    await page.goto(f"{site.url}/models")
    names = page.locator("tr[data-text]:visible a.name")
    field = page.get_by_label("Search models")
    await page.keyboard.press("/")
    await expect(field).to_be_focused()
    await page.keyboard.type("demo chat")
    await page.keyboard.press("ArrowDown")
    await expect(names.first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(names.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(names.first).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Copy demo-chat", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    assert await copied(page, "demo-chat") == "demo-chat"
    await page.keyboard.press("ArrowUp")
    await expect(field).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(names.first).to_be_focused()
    await page.keyboard.press("t")
    await expect(page).to_have_url(f"{site.url}/chat?model=demo-chat")
    await page.close()

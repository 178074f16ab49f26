"""A network that goes and comes back: what was paid stays, and a page says what it cannot do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, Route, expect

from tests.browser.conftest import NewMember
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

OFFLINE = "You are offline."
BACK = "Try again when you are back."
STREAM = "**/api/chat/stream/"


@pytest_asyncio.fixture(loop_scope="session")
async def page(site: Stack, new_member: NewMember) -> AsyncIterator[Page]:
    """The Playground of somebody who has an account, and has paid for an answer."""
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/chat?model=demo-chat")
    await send(page, "Count from 1 to 3.")
    await expect(page.locator("#status")).to_contain_text("Answer complete")
    yield page
    await page.close()


async def send(page: Page, text: str) -> None:
    await page.get_by_label("Your message").fill(text)
    await page.get_by_label("Your message").press("Enter")


def contents(request: Request) -> list[str]:
    order = request.post_data_json
    assert order is not None
    return [message["content"] for message in order["messages"]]


async def shows(page: Page, question: str, answer: str) -> None:
    """One question, and its answer with what it cost."""
    await expect(page.locator(".user")).to_have_text([question])
    await expect(page.locator(".answer .prose")).to_have_text([answer])
    await expect(page.locator(".answer .cost b")).to_have_count(1)


async def test_a_paid_answer_stays_until_the_next_one_begins(page: Page) -> None:
    note = page.locator(".thread > .note")
    await page.context.set_offline(True)
    await page.locator(".answer").get_by_role("button", name="Ask again").click()
    await expect(note).to_contain_text(OFFLINE)
    await shows(page, "Count from 1 to 3.", "1 2 3")
    await note.get_by_role("button", name="Send when I am back").click()
    async with page.expect_request(STREAM) as sent:
        await page.context.set_offline(False)
    assert contents(await sent.value) == ["Count from 1 to 3."]
    await expect(page.locator("#status")).to_contain_text("Answer complete")
    await shows(page, "Count from 1 to 3.", "1 2 3")
    await expect(page.locator("#answers")).to_have_text("2")


async def test_a_paid_answer_stays_when_the_next_one_is_stopped_or_left(page: Page) -> None:
    note, held = page.locator(".thread > .note"), asyncio.Event()

    async def hold(route: Route) -> None:
        held.set()

    await page.route(STREAM, hold)
    await page.locator(".answer").get_by_role("button", name="Ask again").click()
    await held.wait()
    await page.keyboard.press("Escape")
    await expect(note).to_contain_text("Nothing had come yet.")
    await shows(page, "Count from 1 to 3.", "1 2 3")

    held.clear()
    await note.get_by_role("button", name="Ask again").click()
    await held.wait()
    await page.reload()
    await expect(note).to_contain_text("This page was left before the answer began.")
    await shows(page, "Count from 1 to 3.", "1 2 3")
    await page.unroute(STREAM)
    await note.get_by_role("button", name="Ask again").click()
    await expect(page.locator("#status")).to_contain_text("Answer complete")
    await shows(page, "Count from 1 to 3.", "1 2 3")


async def test_what_a_changed_question_takes_the_place_of_stays_until_its_answer_begins(page: Page) -> None:
    message, note = page.get_by_label("Your message"), page.locator(".thread > .note")
    await message.press("ArrowUp")
    await expect(note).to_contain_text("takes the place of that one and its answer")
    await page.context.set_offline(True)
    await send(page, "Count from 1 to 4.")
    await expect(note).to_contain_text(OFFLINE)
    await expect(message).to_have_value("Count from 1 to 4.")
    await shows(page, "Count from 1 to 3.", "1 2 3")
    await page.context.set_offline(False)
    async with page.expect_request(STREAM) as sent:
        await message.press("Enter")
    assert contents(await sent.value) == ["Count from 1 to 4."]
    await expect(page.locator("#status")).to_contain_text("Answer complete")
    await shows(page, "Count from 1 to 4.", "1 2 3 4")


async def test_a_page_says_that_a_script_cannot_be_had_and_works_when_it_can(page: Page) -> None:
    message, alert = page.get_by_label("Your message"), page.get_by_role("alert")
    await page.context.set_offline(True)
    for press in ("ArrowUp", "Control+k"):
        await message.press(press)
        await expect(alert).to_have_text(f"{OFFLINE} {BACK}")
        await page.keyboard.press("Escape")
        await expect(alert).to_have_count(0)
    await page.context.set_offline(False)
    await message.press("ArrowUp")
    await expect(message).to_have_value("Count from 1 to 3.")
    await message.press("Control+k")
    await expect(page.get_by_role("dialog", name="Jump to")).to_be_visible()


async def test_a_question_stays_when_not_even_the_script_that_says_what_failed_comes(
    site: Stack, new_member: NewMember
) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.route("**/js/troubles.js", lambda route: route.abort())
    await page.goto(f"{site.url}/chat?model=demo-chat")
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.context.set_offline(True)
    await send(page, "Hello!")
    await expect(page.get_by_role("alert")).to_have_text(f"{OFFLINE} {BACK}")
    await expect(page.get_by_label("Your message")).to_have_value("Hello!")
    await expect(page.locator(".user")).to_have_count(0)
    await expect(page.locator("#status")).to_have_text("")
    await page.context.set_offline(False)
    await page.get_by_label("Your message").press("Enter")
    await expect(page.locator("#status")).to_contain_text("Answer complete")
    await page.close()

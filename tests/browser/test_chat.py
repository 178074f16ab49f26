"""A chat in a real browser, on the real stack: what an answer costs is what was charged, however it ends."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Locator, Page, Route, expect

from dev import ports
from tests.browser.conftest import VISITOR_MESSAGES, Member, NewContext, NewMember
from tests.support.pages_site import PASSWORD
from tests.support.stack import Stack
from tests.support.watched_page import SENTENCES

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHARGED = """
SELECT holds.charged FROM holds JOIN users USING (account_id) WHERE email = %s AND holds.state = 'settled'
ORDER BY holds.created_at
"""
SLOW = "[seconds=30] Count to 200."
QUICK = "[seconds=1] Hello!"


@dataclass
class Chat:
    """The Playground of one account, and what its books have."""

    page: Page
    member: Member
    site: Stack
    email: str

    async def open(self, model: str = "demo-chat") -> None:
        await self.page.goto(f"{self.site.url}/chat?model={model}")
        await expect(self.message).to_be_focused()

    async def reload(self) -> None:
        await self.page.reload()
        await expect(self.message).to_be_focused()

    async def ask(self, text: str) -> None:
        await self.message.fill(text)
        await self.message.press("Enter")

    @property
    def message(self) -> Locator:
        return self.page.get_by_label("Your message")

    @property
    def questions(self) -> Locator:
        return self.page.locator(".user")

    @property
    def answers(self) -> Locator:
        return self.page.locator(".answer")

    @property
    def note(self) -> Locator:
        return self.page.locator(".thread > .note")

    async def shown(self) -> list[int]:
        """Return what the answers on the page say that they cost."""
        await expect(self.answers.last.get_by_role("button", name="Copy answer")).to_be_visible()
        await expect(self.answers.last.locator(".cost b")).to_be_visible()
        return [int(text.replace(",", "")) for text in await self.page.locator(".cost b").all_inner_texts()]

    def charged(self) -> list[int]:
        """Return what the books have, the oldest first."""
        with psycopg.connect(self.site.owner_url) as connection:
            return [row[0] for row in connection.execute(CHARGED, (self.email,))]


@pytest_asyncio.fixture(loop_scope="session")
async def chat(site: Stack, new_member: NewMember) -> AsyncIterator[Chat]:
    email = f"{uuid.uuid4().hex}@example.com"
    member = await new_member(site, email)
    page = await member.context.new_page()
    yield Chat(page, member, site, email)
    await page.close()


async def test_a_first_question_without_an_account_and_then_with_one(site: Stack, new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.goto(site.url)
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.keyboard.type("Hello!")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}/chat")
    chat = Chat(page, None, site, "")  # type: ignore[arg-type]  # nobody
    await expect(chat.answers.locator(".cost")).to_contain_text("Free")
    for _ in range(VISITOR_MESSAGES - 1):
        await chat.ask("ping")
        await expect(chat.answers.last.locator(".cost")).to_contain_text("Free")
    await expect(chat.note).to_contain_text(f"Those were your {VISITOR_MESSAGES} free messages for today.")
    await chat.ask("one more")
    await expect(chat.answers).to_have_count(VISITOR_MESSAGES)
    await expect(page.locator("#status")).to_contain_text(
        f"Those were your {VISITOR_MESSAGES} free messages for today."
    )
    await expect(chat.note).to_contain_text(f"Those were your {VISITOR_MESSAGES} free messages for today.")

    await chat.note.get_by_role("link", name="Create account").click()
    await page.get_by_label("E-mail").fill(f"{uuid.uuid4().hex}@example.com")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_url(f"{site.url}/chat")
    await expect(chat.questions.first).to_have_text("Hello!")
    await expect(chat.answers).to_have_count(VISITOR_MESSAGES)
    await chat.note.get_by_role("button", name="Ask again").click()
    await expect(chat.answers.last.locator(".cost")).to_contain_text("credits of")
    await page.close()


async def test_two_clicks_are_one_charge_and_the_cost_is_what_was_charged(chat: Chat) -> None:
    await chat.open()
    await chat.message.fill("Write a program.")
    await chat.page.get_by_role("button", name="Send").dblclick()
    await expect(chat.answers.locator("code .c-k").first).to_be_visible()
    await expect(chat.page.locator("#status")).to_contain_text("Answer complete")
    await expect(chat.page.locator(".answer > header")).to_have_text(
        re.compile(r"first word (at once|after (?!0\.0)\d+\.\d s)$")
    )
    assert await chat.shown() == chat.charged()
    assert len(chat.charged()) == 1
    await chat.answers.get_by_role("link", name="Explain").click()
    await expect(chat.page.get_by_text(f"{chat.charged()[0]:,}").first).to_be_visible()


async def test_stopping_charges_what_is_shown(chat: Chat) -> None:
    await chat.open("demo-chat-slow")
    await chat.ask(SLOW)
    await expect(chat.answers.locator(".prose")).to_contain_text("3")
    await expect(chat.page.locator(".funds .held")).to_be_visible()
    await chat.page.keyboard.press("Escape")
    await expect(chat.note).to_contain_text("Stopped.")
    await expect(chat.page.locator(".funds .held")).to_have_count(0)
    assert await chat.shown() == chat.charged()
    await expect(chat.note).to_contain_text(f"{chat.charged()[0]:,} credits for what you have.")
    await expect(chat.page.locator("#status")).to_contain_text("Answer ended early")
    await expect(chat.page.get_by_role("article", name="Your question")).to_have_text(SLOW)
    temperature = chat.page.get_by_label("Temperature")
    await expect(temperature).to_have_attribute("aria-valuetext", "as the model has it")
    await temperature.press("ArrowRight")
    await expect(temperature).to_have_attribute("aria-valuetext", "1.1")


async def test_a_reload_in_mid_stream_shows_what_it_cost(chat: Chat) -> None:
    await chat.open("demo-chat-slow")
    await chat.ask(SLOW)
    await expect(chat.answers.locator(".prose")).to_contain_text("3")
    await chat.message.fill("half a thought")
    await chat.reload()
    await expect(chat.note).to_contain_text("This page was left while the answer was written.")
    assert await chat.shown() == chat.charged()
    await expect(chat.message).to_have_value("half a thought")


async def test_a_question_waits_until_all_of_the_chat_is_shown(chat: Chat) -> None:
    await chat.open()
    await chat.ask("Hello!")
    await chat.shown()
    late = asyncio.Event()

    async def held(route: Route) -> None:
        await late.wait()
        await route.continue_()

    await chat.page.route("**/js/answer.js", held)
    await chat.reload()
    await chat.ask("And now?")
    late.set()
    await expect(chat.questions).to_have_text(["Hello!", "And now?"])
    await expect(chat.answers.locator(".cost b")).to_have_count(2)
    await expect(chat.questions).to_have_count(2)


async def test_an_answer_that_breaks_off_costs_what_is_there(chat: Chat) -> None:
    await chat.open("demo-chat-broken")
    await chat.ask("Count to 20.")
    await expect(chat.note).to_contain_text("The provider stopped in mid-sentence. You paid for the")
    [charged] = await chat.shown()
    assert [charged] == chat.charged()
    await expect(chat.note).to_contain_text(re.compile(rf"above: {charged:,} credits\. The other [\d,]+ came back\."))
    await expect(chat.note.get_by_role("button")).to_have_text(["Continue from here", "Ask again"])


async def test_an_answer_that_fails_costs_nothing(chat: Chat) -> None:
    await chat.open("demo-chat-fail")
    await chat.ask("Hello!")
    await expect(chat.note).to_contain_text("The provider did not answer. Nothing was charged.")
    await expect(chat.answers).to_have_count(0)
    assert chat.charged() == []
    await chat.note.get_by_role("button", name="Choose another model").click()
    await chat.page.get_by_role("dialog").get_by_role("searchbox").fill("demo-chat")
    await chat.page.get_by_role("button", name="Demo chat demo-chat ", exact=False).first.click()
    await chat.note.get_by_role("button", name="Ask Demo chat").click()
    await expect(chat.answers.locator(".cost b")).to_be_visible()


async def test_a_question_without_a_network_stays_and_is_sent_when_it_is_back(chat: Chat) -> None:
    await chat.open()
    await chat.page.evaluate(SENTENCES)
    await chat.page.context.set_offline(True)
    await chat.ask("Hello!")
    await expect(chat.note).to_contain_text("You are offline. Your text stays here.")
    await expect(chat.message).to_have_value("Hello!")
    await expect(chat.questions).to_have_count(0)
    await expect(chat.page.locator("h1")).to_have_text("Playground")
    await expect(chat.page.get_by_role("button", name="Share")).to_have_count(0)
    await chat.note.get_by_role("button", name="Send when I am back").click()
    await chat.page.context.set_offline(False)
    assert await chat.shown() == chat.charged()
    await expect(chat.questions).to_have_text("Hello!")
    await expect(chat.page.locator("h1")).to_have_text("Hello!")


async def test_the_system_prompt_of_a_kept_chat_is_shown_and_can_be_changed(chat: Chat) -> None:
    page, prompt = chat.page, chat.page.get_by_label("System prompt")
    await keep(chat)
    await chat.open()
    await prompt.fill('Say "banana".')
    for text in ("Hello!", "And now?"):
        await chat.ask(text)
        await chat.shown()
    await page.reload()
    await expect(prompt).to_have_value('Say "banana".')
    await prompt.fill('Say "pear".')
    await chat.ask("Once more.")
    await chat.shown()
    await expect(page.locator(".answer .prose")).to_have_text(["banana", "banana", "pear"])
    await page.get_by_role("button", name="Get code").click()
    await expect(page.get_by_role("dialog")).to_contain_text("pear")
    await page.reload()
    await expect(prompt).to_have_value('Say "pear".')
    await prompt.fill("")
    await chat.ask("Who are you?")
    await chat.shown()
    await expect(page.locator(".answer .prose").last).to_contain_text("I am the demo model")
    await page.reload()
    await expect(page.locator(".answer .prose")).to_have_count(4)
    await expect(prompt).to_have_value("")


async def keep(chat: Chat) -> None:
    answer = await chat.member.api.patch("/api/chat/settings/", json={"keep_history": True})
    assert answer.is_success


async def kept_chats(chat: Chat) -> list[str]:
    """Return the addresses of the pages of what is saved."""
    answer = await chat.member.api.get("/api/chat/conversations/")
    return [f"{chat.site.url}/chat/{one['id']}" for one in answer.json()["data"]]


async def test_a_chat_is_saved_when_its_answer_is(chat: Chat) -> None:
    await keep(chat)
    await chat.open("demo-chat-slow")
    await chat.ask(SLOW)
    await expect(chat.answers.locator(".prose")).to_contain_text("3")
    assert (await kept_chats(chat), chat.page.url.split("?")[0]) == ([], f"{chat.site.url}/chat")
    await chat.reload()
    await chat.shown()
    await expect(chat.questions).to_have_text([SLOW])
    assert await kept_chats(chat) == [chat.page.url]


async def test_a_chat_that_was_deleted_meanwhile_goes_on_in_its_tab(chat: Chat) -> None:
    await keep(chat)
    await chat.open("demo-chat-slow")
    await chat.ask(QUICK)
    await chat.shown()
    [before] = await kept_chats(chat)
    await chat.ask(SLOW)
    await expect(chat.answers.last.locator(".prose")).to_contain_text("3")
    assert (await chat.member.api.delete("/api/chat/conversations/")).is_success
    await chat.page.keyboard.press("Escape")
    await expect(chat.note).to_contain_text("credits for what you have")
    assert chat.page.url == f"{chat.site.url}/chat"
    await chat.reload()
    await expect(chat.questions).to_have_text([QUICK, SLOW])
    await chat.ask(QUICK)
    await expect(chat.answers).to_have_count(3)
    await chat.shown()
    [after] = await kept_chats(chat)
    assert after == chat.page.url != before


async def test_a_chat_whose_server_died_is_not_taken_for_saved(chat: Chat, site: Stack, tmp_path: Path) -> None:
    await keep(chat)
    mortal = replace(chat, site=replace(site, port=ports.free(), state=tmp_path))
    with mortal.site.running("api") as process:
        await mortal.open("demo-chat-slow")
        await mortal.ask(SLOW)
        await expect(mortal.answers.locator(".prose")).to_contain_text("3")
        process.kill()
        await expect(mortal.page.locator(".send.stop")).to_be_hidden()
    with mortal.site.running("api"):
        await mortal.reload()
        await expect(mortal.questions).to_have_text([SLOW])
        await mortal.ask(QUICK)
        await expect(mortal.answers).to_have_count(2)
        await mortal.shown()
        assert await kept_chats(mortal) == [mortal.page.url]


async def test_files_go_to_models_that_read_them(chat: Chat, tmp_path: Path) -> None:
    picture = tmp_path / "a picture.png"
    Image.new("RGB", (40, 30), "teal").save(picture)
    notes = tmp_path / "notes.txt"
    notes.write_text("The words of a file.")
    await chat.open("demo-chat-fail")
    await chat.page.locator("#clip").set_input_files(picture)
    await expect(chat.note).to_contain_text("Demo chat, failing sees no pictures. Nothing was sent")

    await chat.open()
    await chat.page.locator("#clip").set_input_files([picture, notes])
    await expect(chat.page.locator(".composer .file")).to_have_count(2)
    async with chat.page.expect_request("**/api/chat/stream/") as sent:
        await chat.ask("What is this?")
    order = (await sent.value).post_data_json
    assert order is not None
    [message] = order["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "file"]
    assert await chat.shown() == chat.charged()
    await expect(chat.questions.locator(".file-name")).to_have_text(["a picture.png", "notes.txt"])
    await expect(chat.page.locator(".composer .file")).to_have_count(0)
    await chat.reload()
    await expect(chat.questions.locator(".file img")).to_be_visible()

    await chat.message.press("ArrowUp")
    await expect(chat.message).to_have_value("What is this?")
    await expect(chat.page.locator(".composer .file")).to_have_count(2)
    await chat.page.get_by_role("button", name="Remove notes.txt").click()
    await expect(chat.page.locator(".composer .file")).to_have_count(1)


async def test_a_changed_question_takes_the_place_of_the_last_when_it_is_sent(chat: Chat) -> None:
    await chat.open()
    await chat.ask("Count from 1 to 3.")
    await expect(chat.page.locator("#status")).to_contain_text("Answer complete")
    await chat.message.press("ArrowUp")
    await expect(chat.message).to_have_value("Count from 1 to 3.")
    await expect(chat.note).to_contain_text("takes the place of that one and its answer")
    await expect(chat.answers).to_have_text([re.compile("1 2 3")])
    await chat.message.fill("")
    await expect(chat.note).to_have_count(0)
    await expect(chat.questions).to_have_text(["Count from 1 to 3."])

    await chat.message.press("ArrowUp")
    await chat.message.fill("Count from 1 to 4.")
    async with chat.page.expect_request("**/api/chat/stream/") as sent:
        await chat.message.press("Enter")
    order = (await sent.value).post_data_json
    assert order is not None
    assert [message["content"] for message in order["messages"]] == ["Count from 1 to 4."]
    await expect(chat.questions).to_have_text(["Count from 1 to 4."])
    await expect(chat.answers).to_have_text([re.compile("1 2 3 4")])
    await expect(chat.note).to_have_count(0)


async def test_letters_of_the_playground_and_enter_are_the_readers_choice(chat: Chat) -> None:
    page = chat.page
    await chat.open()
    await page.keyboard.press("Tab")
    await expect(chat.message).not_to_be_focused()
    await page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Shortcuts")
    await expect(listed).to_contain_text("New chat")
    await expect(listed).to_contain_text("Your message")
    await page.keyboard.press("Escape")
    await expect(listed).to_have_count(0)
    await page.keyboard.press("/")
    await expect(chat.message).to_be_focused()

    await page.goto(f"{chat.site.url}/account")
    await page.get_by_role("button", name="Swap them").click()
    await expect(page.get_by_text("Enter breaks the line of a message")).to_be_visible()
    await page.get_by_role("button", name="Switch them off").click()
    await expect(page.get_by_role("button", name="Switch them on")).to_be_visible()
    await chat.open()
    await page.keyboard.type("one")
    await page.keyboard.press("Enter")
    await page.keyboard.type("two")
    await expect(chat.message).to_have_value("one\ntwo")
    await page.keyboard.press("Shift+Enter")
    await expect(chat.questions).to_have_text("one\ntwo")
    await expect(chat.answers.locator(".cost b")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(chat.message).not_to_be_focused()
    await page.keyboard.press("c")
    await expect(page.get_by_role("dialog")).to_have_count(0)

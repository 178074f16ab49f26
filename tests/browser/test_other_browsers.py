"""What browsers do in other ways: input methods, a storage that is switched off, a network that goes and comes."""

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.conftest import NewContext, NewMember
from tests.support.stack import Stack
from tests.support.watched_page import SENTENCES

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMPOSED = """
(element) => {
  for (const key of ["Enter", "ArrowDown", "Escape"]) {
    for (const more of [{}, {isComposing: true}, {ctrlKey: true}]) {
      const event = new KeyboardEvent("keydown", {key, keyCode: 229, bubbles: true, cancelable: true, ...more});
      if (!element.dispatchEvent(event)) return key;
    }
  }
  return "";
}
"""
"""Presses the keys with which a word is chosen, as Chrome and Safari say it. Returns the one that a script took."""
DATA = """
(() => {
  const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
  const data = new DataTransfer(), bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  data.items.add(new File([bytes], "image.png", {type: "image/png"}));
  return data;
})()
""".strip()
"""A picture that is dropped or pasted."""
PASTED = """
(area, texts) => {
  const data = DATA;
  for (const type of texts) data.setData(type, "1");
  return area.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}
""".replace("DATA", DATA)
"""Pastes a picture beside texts of these types. Returns whether that is left to the browser."""
DROPPED = """
(element) => {
  const data = DATA, drop = (name) => new DragEvent(name, {dataTransfer: data, bubbles: true, cancelable: true});
  return element.dispatchEvent(drop("dragover")) || element.dispatchEvent(drop("drop"));
}
""".replace("DATA", DATA)
"""Drops a picture there. Returns whether the browser would show it instead of the page."""
COME_BACK = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
"""A browser that has kept the page shows it again."""
WITHOUT_STORAGE = """
for (const name of ["sessionStorage", "localStorage"]) {
  Object.defineProperty(window, name, {get() { throw new DOMException("switched off", "SecurityError"); }});
}
"""


async def test_keys_that_choose_a_word_do_nothing_else(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    for path, label in (("/chat", "Your message"), ("/studio/image", "Prompt")):
        await page.goto(site.url + path)
        field = page.get_by_label(label, exact=True)
        await field.fill("ni hao")
        assert await field.evaluate(COMPOSED) == ""
        await expect(field).to_have_value("ni hao")
    await page.keyboard.press("Control+k")
    jump = page.get_by_role("combobox", name="Jump to")
    await jump.fill("keys")
    assert await jump.evaluate(COMPOSED) == ""
    await page.goto(f"{site.url}/chat")
    await expect(page.locator(".user")).to_have_count(0)
    await page.get_by_role("button", name="Model: ").click()
    search = page.get_by_role("dialog").get_by_role("searchbox")
    await search.fill("demo")
    assert await search.evaluate(COMPOSED) == ""
    await expect(search).to_be_visible()
    await page.close()


async def without_storage(page: Page) -> list[str]:
    """Returns the errors of its scripts, as they come."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.add_init_script(WITHOUT_STORAGE)
    return errors


async def test_a_first_question_stays_where_the_tab_keeps_nothing(site: Stack, new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    errors = await without_storage(page)
    await page.goto(site.url)
    for _ in range(2):
        await page.get_by_label("Your message").fill("Hello!")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("could not keep your question")
    await expect(page.get_by_label("Your message")).to_have_value("Hello!")
    async with page.expect_popup() as opened:
        await page.get_by_role("alert").get_by_role("link").click()
    await expect((await opened.value).get_by_label("Your message")).to_be_focused()
    assert errors == []
    await page.close()


async def test_a_chat_and_a_form_where_the_tab_keeps_nothing(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    errors = await without_storage(page)
    await page.goto(f"{site.url}/chat")
    for _ in range(2):
        await page.get_by_label("Your message").fill("Hello!")
        await page.keyboard.press("Enter")
        await expect(page.locator("#status")).to_contain_text("Answer complete")
        await page.get_by_role("link", name="New chat").click()
        await page.wait_for_url(f"{site.url}/chat")
    await page.goto(f"{site.url}/studio/image?model=demo-image")
    await page.get_by_label("Prompt", exact=True).fill("A tree")
    await expect(page.locator("yout-quote [data-price]")).to_contain_text("credits")
    assert errors == []
    await page.close()


async def test_a_question_that_was_taken_back_is_not_sent_later(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/chat")
    message, note = page.get_by_label("Your message"), page.locator(".thread > .note")
    await page.evaluate(SENTENCES)
    await page.context.set_offline(True)
    await message.fill("Not this one")
    await message.press("Enter")
    await note.get_by_role("button", name="Send when I am back").click()
    await message.fill("")
    await page.evaluate("window.back = new Promise((on) => addEventListener('online', on)); null")
    await page.context.set_offline(False)
    await page.evaluate("back.then(() => null)")
    await message.fill("Hello!")
    await message.press("Enter")
    await expect(page.locator(".answer .cost b")).to_be_visible()
    await expect(page.locator(".user")).to_have_text(["Hello!"])
    await page.close()


async def test_text_of_an_office_program_is_pasted_as_text(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/chat")
    message = page.get_by_label("Your message")
    assert await message.evaluate(PASTED, ["text/plain", "text/html"]), "the browser pastes the text"
    assert not await message.evaluate(PASTED, ["text/html"]), "a picture that is copied from a page"
    await expect(page.locator(".files img, .thread > .note")).not_to_have_count(0)
    await page.close()


async def test_nothing_is_asked_with_a_limit_that_cannot_be_read(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/chat")
    message, limit = page.get_by_label("Your message"), page.get_by_label("Never spend more than")
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        if not await limit.is_visible():
            await page.get_by_role("button", name="Settings", exact=True).click()
        await limit.fill("5.000")
        await page.keyboard.press("Escape")
        await message.fill("Hello!")
        await message.press("Enter")
        await expect(limit).to_be_focused()
        await expect(page.get_by_text("A whole number above 0.")).to_be_visible()
        await expect(page.locator(".user")).to_have_count(0)
        await expect(message).to_have_value("Hello!")
    await limit.fill("5,000")
    await page.keyboard.press("Escape")
    await message.press("Enter")
    await expect(page.locator(".answer .cost b")).to_be_visible()
    await page.set_viewport_size({"width": 1280, "height": 800})
    await limit.fill("many")
    await page.get_by_role("button", name="Ask again").click()
    await expect(limit).to_be_focused()
    await expect(page.locator(".answer .cost b")).to_be_visible()
    await page.close()


async def test_words_that_filter_models_stay_with_links_and_on_the_way_back(
    site: Stack, visitor: BrowserContext
) -> None:
    page = await visitor.new_page()
    rows, field = page.locator("tr[data-text]:visible"), page.get_by_label("Search models")
    await page.goto(f"{site.url}/models")
    every = await rows.count()
    await field.fill("demo-chat-fail")
    await expect(rows).to_have_count(1)
    await rows.locator("a.name").click()
    await page.wait_for_url(f"{site.url}/models/demo-chat-fail")
    await page.go_back()
    for _ in range(2):
        await expect(field).to_have_value("demo-chat-fail")
        await expect(rows).to_have_count(1)
        await expect(page.locator("#shown")).to_have_text(re.compile(r"^1 of "))
        await field.fill("demo-chat")
        await field.fill("demo-chat-fail")
        await page.get_by_role("link", name="US$ per million").click()
        await page.wait_for_url(re.compile("unit=usd"))
    await field.fill("")
    await expect(rows).to_have_count(every)
    await page.close()


async def test_a_file_may_be_dropped_anywhere_and_never_leads_away(site: Stack, new_member: NewMember) -> None:
    page = await (await new_member(site)).context.new_page()
    await page.goto(f"{site.url}/chat")
    assert not await page.locator(".side").evaluate(DROPPED)
    await expect(page.locator(".files, .thread > .note").filter(visible=True)).not_to_have_count(0)
    await page.goto(f"{site.url}/studio/video?model=demo-video")
    place = page.locator(".drop").first
    assert not await page.locator("h1").evaluate(DROPPED)
    await expect(page.locator(".sent li")).to_have_count(0)
    assert not await place.locator(".hint").evaluate(DROPPED)
    await expect(page.locator(".sent li")).to_contain_text("image.png")
    await page.close()


async def test_the_way_back_to_a_page_keeps_what_was_written(site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    page = await member.context.new_page()
    await page.goto(f"{site.url}/keys/new")
    name = page.get_by_label("Name", exact=True)
    await name.fill("half a name")
    await page.evaluate("document.body.id = 'same'")
    async with page.expect_response("**/api/auth/me/"):
        await page.evaluate(COME_BACK)
    await expect(page.locator("body#same")).to_have_count(1)
    await expect(name).to_have_value("half a name")
    await name.fill("")
    async with page.expect_event("load"):
        await page.evaluate(COME_BACK)
    await expect(page.locator("body#same")).to_have_count(0)

    await page.goto(f"{site.url}/studio/speech")
    text, count = page.locator("textarea.main-text"), page.locator("[data-count]").first
    await text.evaluate("(text) => { text.value = 'restored'; }")
    await page.evaluate(COME_BACK)
    await expect(count).to_contain_text("8 of ")
    assert (await member.api.post("/api/auth/logout/")).is_success
    await page.evaluate(COME_BACK)
    await page.wait_for_url(re.compile("/sign-in"))
    await page.close()


async def test_a_question_that_is_sent_too_early_stays(site: Stack, new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.route("**/js/**", lambda route: route.abort())
    for path in ("/", "/chat"):
        await page.goto(site.url + path)
        await page.get_by_label("Your message").fill("Hello!")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_label("Your message")).to_have_value("Hello!")
        await expect(page).to_have_url(site.url + path)
    await page.close()

"""How an answer is written: what is finished stays as it is, a reader is left alone, and hostile text only shows."""

import json
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import NewMember
from tests.support.hostile_markdown import DOCUMENTS
from tests.support.stack import Stack, eventually
from tests.support.watched_page import Watched
from web import assets
from web.budget import Budget
from web.markdown import rendered

pytestmark = pytest.mark.asyncio(loop_scope="session")

FED = """
performance.now = () => 0;
window.settled = () => new Promise((painted) => {
  const next = (left) => left ? requestAnimationFrame(() => setTimeout(() => next(left - 1))) : painted();
  next(4);
});
window.fetch = ((ours) => (path, options) => {
  if (path !== "/api/chat/stream/") return ours(path, options);
  const encoder = new TextEncoder();
  const body = new ReadableStream({start(stream) {
    window.feed = (event) => {
      stream.enqueue(encoder.encode(`data: ${JSON.stringify(event)}\\n\\n`));
      return window.settled();
    };
    document.documentElement.dataset.fed = "";
  }});
  return Promise.resolve(new Response(body, {headers: {"content-type": "text/event-stream"}}));
})(window.fetch);
"""
"""The test is the server of the answer's stream. Paints take no time by the page's clock, so that none is put off."""
START = {"type": "start", "id": "chatcmpl-none", "model": "demo-chat", "held": 10}
PROSE = 'document.querySelector(".answer .prose")'
LIST = "- one\n\n- two\n\n- three\n\n"
TABLE = "| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n"
FENCE = "```text\n" + "a line of code\n" * 5
MAX_DEPTH = 80
TAGS = {
    *("p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s"),
    *("a", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"),
}
"""What a text is made of. How a block of code looks, and what is around a table, is up to each renderer."""


class Fed:
    """An answer whose stream the test writes."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def feed(self, *pieces: str) -> None:
        """Returns when it is painted. The first paint waits for the script that reads Markdown."""
        for piece in pieces:
            await self.page.evaluate("(event) => window.feed(event)", {"type": "delta", "text": piece})
        await expect(self.page.locator(".answer .prose > *").first).to_be_attached()
        await self.page.evaluate("window.settled()")

    async def mark(self, script: str) -> int:
        """Remember the nodes that a script finds. Returns their number."""
        count: int = await self.page.evaluate(f"(window.marked = [...{script}]).length")
        return count

    async def same(self, script: str) -> bool:
        """Tell whether the nodes that were marked are still those that the script finds first."""
        unchanged = f"((now) => window.marked.every((node, at) => node === now[at] && node.isConnected))([...{script}])"
        return bool(await self.page.evaluate(unchanged))


@pytest_asyncio.fixture(loop_scope="session")
async def answer(site: Stack, new_member: NewMember) -> AsyncIterator[Fed]:
    page = await (await new_member(site)).context.new_page()
    await page.add_init_script(FED)
    await page.goto(f"{site.url}/chat?model=demo-chat")
    await page.get_by_label("Your message").fill("Write.")
    await page.get_by_label("Your message").press("Enter")
    await expect(page.locator("html[data-fed]")).to_have_count(1)
    await page.evaluate("(event) => window.feed(event)", START)
    yield Fed(page)
    await page.close()


async def test_what_is_finished_is_never_touched_again(answer: Fed) -> None:
    await answer.feed("# Title\n\nA *paragraph*.\n\n", *(TABLE + "\n").splitlines(keepends=True), "And the la")
    blocks = f"{PROSE}.querySelectorAll(':scope > *')"
    finished = f"{PROSE}.querySelectorAll(':scope > *:not(:last-child)')"
    assert await answer.mark(finished) == 3
    await answer.feed("st one.\n\n", *LIST.splitlines(keepends=True), "- fo", "ur\n\n")
    await answer.feed("After it.\n\n", *FENCE.splitlines(keepends=True), "```\n\nThe end")
    assert await answer.same(blocks)
    assert await answer.mark(finished) == 7
    await answer.feed(".\n\nOne more.\n\n", "And one.")
    assert await answer.same(blocks)


@pytest.mark.parametrize(
    ("first", "more", "inside", "count"),
    [
        (LIST, ["- four\n\n", "  of two\n\n", "- five\n\n"], "ul > li", 3),
        (TABLE, ["| 5 | 6 |\n", "| 7 |", " 8 |\n"], "tr", 3),
        ("> one\n>\n> two\n>\n", ["> three\n", ">\n> four\n"], "blockquote > p", 2),
    ],
    ids=["list", "table", "quote"],
)
async def test_an_open_block_grows_by_its_end(
    first: str, more: list[str], inside: str, count: int, answer: Fed
) -> None:
    await answer.feed(first)
    nodes = f"{PROSE}.querySelectorAll('{inside}')"
    assert await answer.mark(nodes) == count
    await answer.feed(*more)
    assert await answer.same(nodes)
    assert await answer.page.evaluate(f"{nodes}.length") > count


async def test_a_fence_grows_by_its_text(answer: Fed) -> None:
    await answer.feed("```text\nfirst")
    text = "[document.querySelector('.answer pre > code').firstChild]"
    await answer.mark(text)
    await answer.feed(" line\n", *["and another\n"] * 20)
    assert await answer.same(text)
    assert await answer.page.locator(".answer pre").inner_text() == "first line\n" + "and another\n" * 20


async def test_a_reader_is_left_alone_while_an_answer_is_written(answer: Fed) -> None:
    page = answer.page
    await answer.feed(*("A paragraph of an answer.\n\n" * 20 for _ in range(5)))
    top = "document.scrollingElement.scrollTop"
    left = "((at) => at.scrollHeight - at.scrollTop - at.clientHeight)(document.scrollingElement)"
    assert await page.evaluate(left) <= 1
    await page.get_by_label("Your message").fill("typed meanwhile")
    await page.mouse.move(500, 300)
    before = await page.evaluate(top)
    await page.mouse.wheel(0, -40)

    held = before - 40

    async def scrolled() -> bool:
        return bool(await page.evaluate(f"{top} === {held}"))  # and not on its way there

    assert await eventually(scrolled)
    await answer.feed(*["More of it.\n\n"] * 20)
    assert await page.evaluate(top) == held
    await expect(page.get_by_label("Your message")).to_have_value("typed meanwhile")
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.get_by_role("button", name="Jump to the end").click()
    await answer.feed("And the last.\n\n")
    assert await page.evaluate(left) <= 1


async def test_a_reader_at_the_end_stays_there_when_the_window_and_the_composer_change(answer: Fed) -> None:
    page = answer.page
    await answer.feed(*("A paragraph of an answer, which takes more lines where there is less room.\n\n" * 20,) * 3)
    at_end = "((at) => at.scrollHeight - at.scrollTop - at.clientHeight <= 1)(document.scrollingElement)"
    for width, height in ((390, 800), (800, 390)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await eventually(lambda width=width: page.evaluate(f"innerWidth === {width} && {at_end}"))
    await page.get_by_label("Your message").fill("A line of a question.\n" * 8)
    assert await eventually(lambda: page.evaluate(at_end))


class Structure(HTMLParser):
    """The elements of a text in their order, with the addresses of links, and the words between."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in TAGS and ("class", "language") not in attrs:
            self.tags.append([tag, dict(attrs).get("href") or ""])


WALKED = """
async ({script, text, tags}) => {
  const {show} = await import(script), root = document.createElement("div");
  show(root, text);
  document.body.append(root);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT), elements = [];
  let deepest = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (tags.includes(node.localName)) elements.push([node.localName, node.getAttribute("href") ?? ""]);
  }
  for (const leaf of root.querySelectorAll(":not(:has(*))")) {
    let depth = 0;
    for (let at = leaf; at !== root; at = at.parentElement) depth++;
    deepest = Math.max(deepest, depth);
  }
  root.remove();
  return {elements, deepest};
}
"""


async def test_hostile_text_only_shows_and_in_both_renderers_alike(site: Stack, new_member: NewMember) -> None:
    watched = await Watched.of((await new_member(site)).context, site.url)
    await watched.open("/chat")
    script = assets.load().url("js/answer.js")
    unlike = {}
    for name, text in DOCUMENTS.items():
        order = {"script": script, "text": text, "tags": sorted(TAGS)}
        shown: dict[str, Any] = await watched.page.evaluate(WALKED, order)
        assert shown["deepest"] < MAX_DEPTH, name
        html = rendered(text, Budget())
        if html.startswith('<p class="plain">'):  # too much for a page that everybody may ask for
            continue
        if shown["elements"] != (expected := Structure(html).tags):
            unlike[name] = json.dumps([expected[:12], shown["elements"][:12]])
    assert watched.faults == []
    assert unlike == {}
    await watched.page.close()

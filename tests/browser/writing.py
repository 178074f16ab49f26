"""How long a page takes to write an answer while it comes: `make writing` prints it.

Starts a server whose provider sends an answer token by token, opens the Playground in Chromium, and reads the browser's
own trace. Beside it: the same page with a writer that renders all of the answer each time, which nobody should use.
The numbers are those of this machine, with its load: ratios say more.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
from aiohttp import web
from playwright.async_api import Browser, Page, Route

from db import migrate
from dev import ports
from dev.postgres import EmbeddedPostgres
from tests.conftest import IN_MEMORY
from tests.support import chromium
from tests.support.doubles.entries import text_model
from tests.support.pages_site import OPEN, PASSWORD, SAME_ORIGIN
from tests.support.stack import Stack

TOKENS, RATE = 25_000, 200
LONG_TASK_MS, FRAME_MS = 50.0, 16.0
MODEL = "writer"
CATALOG = """
[providers.writer]
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "none"
"""
CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]
EVERYTHING = """
  #paint() {
    this.#caret.remove();
    show(this.#root, this.#all);
    this.#rest = this.#shown = "";
  }
"""
"""Instead of what `answer.js` does: all of the text is parsed and rendered each time."""
_WORDS = ("call", "credit", "token", "answer", "model", "price", "stream", "hold", "ledger", "route", "provider")
SETTLE_MS = 1000


def pieces(tokens: int) -> Iterator[str]:
    """Write an answer of headings, paragraphs, lists, tables and code, of about four characters a token."""
    chance = random.Random(7)  # the same text each time
    left = tokens

    def words(count: int) -> str:
        return " ".join(chance.choice(_WORDS) for _ in range(count))

    blocks = (
        lambda: f"\n\n## {words(4)}\n\n{words(90)}. **{words(3)}** {words(60)}, `{words(1)}`.",
        lambda: "\n\n" + "\n".join(f"{n}. {words(14)}" for n in range(1, 25)),
        lambda: "\n\n" + "\n\n".join(f"- {words(10)}\n\n  {words(20)}" for _ in range(12)),
        lambda: "\n\n| a | b |\n|---|--:|\n" + "\n".join(f"| {words(3)} | {n} |" for n in range(20)),
        lambda: "\n\n```python\n" + "\n".join(f"    {words(1)} = {words(1)}({n})" for n in range(80)) + "\n```",
        lambda: f"\n\n> {words(40)}\n\n{words(200)}.",
    )
    while left > 0:
        text = chance.choice(blocks)()
        for at in range(0, len(text), 4):
            if left == 0:
                return
            left -= 1
            yield text[at : at + 4]


@asynccontextmanager
async def provider(port: int, tokens: int, rate: int) -> AsyncIterator[None]:
    """Serve an answer in OpenAI's events, at a rate that does not depend on who reads it."""

    async def answered(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        clock = asyncio.get_running_loop()
        began = clock.time()

        async def send(**more: Any) -> None:
            await response.write(f"data: {json.dumps(frame | more)}\n\n".encode())

        for number, piece in enumerate(pieces(tokens)):
            await asyncio.sleep(max(0.0, began + number / rate - clock.time()))
            await send(choices=[{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        await send(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": tokens + 10}
        await send(choices=[], usage=usage)
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answered)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextmanager
def server(port: int, tokens: int) -> Iterator[Stack]:
    with EmbeddedPostgres.temporary(IN_MEMORY) as postgres, TemporaryDirectory() as folder:
        if not migrate.upgrade(postgres.url, postgres.app_url):
            raise RuntimeError("The database could not be made.")
        state = Path(folder) / "state"
        state.mkdir()
        catalog = state / "catalog.toml"
        catalog.write_text(CATALOG.format(port=port) + text_model(MODEL, f"writer/{MODEL}", most_output=tokens + 10))
        stack = Stack.on(postgres, state, extra=OPEN | {"YOUT_FREE_TIER_CREDITS": "1000000"}, catalog=catalog)
        with stack.running("api"):
            yield stack


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of the page's main thread. A frame is all that it takes: script, layout and painting."""

    frames: Sequence[float]
    tasks: Sequence[float]

    @property
    def total(self) -> float:
        return sum(self.frames)

    def share(self, part: float) -> float:
        return sorted(self.frames)[int(part * (len(self.frames) - 1))]

    @property
    def long(self) -> int:
        return sum(1 for task in self.tasks if task > LONG_TASK_MS)

    def row(self, name: str) -> str:
        return (
            f"{name:<22}{len(self.frames):>8,}{self.share(0.5):>9.1f}{self.share(0.99):>9.1f}{max(self.frames):>9.1f}"
            f"{self.total / 1000:>9.1f}{self.long:>8,}{max(self.tasks):>10.1f}"
        )


def read(trace: bytes) -> Figures:
    """Read tasks of the page's main thread out of a trace, and which of them made a frame."""
    events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    fired = [event for event in events if event["name"] == "FireAnimationFrame"]
    threads = [(event["pid"], event["tid"]) for event in fired]
    main = max(set(threads), key=threads.count)
    own = [event for event in events if (event["pid"], event["tid"]) == main]
    tasks = [event for event in own if event["name"].endswith("RunTask") and event["ph"] == "X"]
    tasks.sort(key=lambda event: event["ts"])
    moments = sorted(event["ts"] for event in own if event["name"] == "FireAnimationFrame")
    frames, at = [], 0
    for task in tasks:
        end = task["ts"] + task["dur"]
        inside = at
        while inside < len(moments) and moments[inside] < end:
            inside += 1
        if inside > at:
            frames.append(task["dur"] / 1000)
        at = inside
    return Figures(frames, [task["dur"] / 1000 for task in tasks])


async def everything(route: Route) -> None:
    """Serve the writer that renders all of the answer each time."""
    script = await (await route.fetch()).text()
    head, _, rest = script.partition("  #paint() {")
    await route.fulfill(
        body=f"{head}{EVERYTHING}\n{rest.partition(chr(10) + '  }' + chr(10))[2]}", content_type="text/javascript"
    )


async def measured(browser: Browser, stack: Stack, seconds: float, *, baseline: bool) -> Figures:
    page = await opened(browser, stack)
    if baseline:
        await page.route("**/js/answer.js", everything)
    await page.goto(f"{stack.url}/chat?model={MODEL}")
    await page.get_by_label("Your message").fill("Write.")
    await browser.start_tracing(page=page, categories=CATEGORIES)
    await page.keyboard.press("Enter")
    done = page.locator(".answer").get_by_role("button", name="Copy answer")
    await done.wait_for(timeout=(seconds * 4 + 60) * 1000)
    await page.wait_for_timeout(SETTLE_MS)
    trace = await browser.stop_tracing()
    await page.context.close()
    return read(trace)


async def opened(browser: Browser, stack: Stack) -> Page:
    context = await browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN, timeout=30) as api:
        credentials = {"email": f"{random.randbytes(8).hex()}@example.com", "password": PASSWORD}
        (await api.post("/api/auth/signup/", json=credentials)).raise_for_status()
        for name, value in api.cookies.items():
            await context.add_cookies([{"name": name, "value": value, "url": stack.url}])
    return await context.new_page()


async def compared(stack: Stack, seconds: float, *, alone: bool) -> bool:
    """Print the figures. Returns whether they are within their bounds."""
    async with chromium.running() as browser:
        own = await measured(browser, stack, seconds, baseline=False)
        all_of_it = None if alone else await measured(browser, stack, seconds, baseline=True)
    print_rows(own, all_of_it)
    return own.share(0.99) <= FRAME_MS and not own.long


def print_rows(own: Figures, all_of_it: Figures | None) -> None:
    columns = ("frames", "p50 ms", "p99 ms", "max ms", "all s", "> 50 ms", "longest")
    sys.stdout.write(f"{'':<22}{columns[0]:>8}{''.join(f'{name:>9}' for name in columns[1:5])}")
    sys.stdout.write(f"{columns[5]:>8}{columns[6]:>10}\n{own.row('this page')}\n")
    if all_of_it is not None:
        sys.stdout.write(f"{all_of_it.row('everything each time')}\n")
        ratio = all_of_it.total / len(all_of_it.frames) / (own.total / len(own.frames))
        sys.stdout.write(f"A frame takes {ratio:.0f} times less than with everything each time.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rate", type=int, default=RATE, help="tokens a second")
    parser.add_argument("--alone", action="store_true", help="nothing beside it")
    chosen = parser.parse_args()
    port = ports.free()

    async def run(stack: Stack) -> bool:
        async with provider(port, chosen.tokens, chosen.rate):
            return await compared(stack, chosen.tokens / chosen.rate, alone=chosen.alone)

    with server(port, chosen.tokens) as stack:
        return 0 if asyncio.run(run(stack)) else 1


if __name__ == "__main__":
    sys.exit(main())

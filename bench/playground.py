"""`python -m bench.playground`: what a long answer costs the browser that shows it, while it is written.

A person signs in, opens the Playground in Chromium and asks. The upstream writes at a steady pace. Somebody types into
the composer meanwhile. Times are of the tasks of the page's main thread, as Chromium traces them: by the clock, and in
CPU time, which other programs on the machine change little.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from playwright.async_api import CDPSession, Page
from rich.table import Table

from bench import chromium_trace, process, report, texts
from bench.chromium_trace import Spent
from bench.plan import percentile
from bench.site import started
from bench.stack import Api, Stack, start_upstream
from dev.errors import CannotStart

TOKENS = 25_000
PACE_MS = 5
LONG_MS = 50
TYPED = "typed meanwhile "
TYPED_EVERY = 0.5
"""Seconds from key to key."""
SLACK_SECONDS = 60.0
OBSERVED = """
window.interactions = [];
new PerformanceObserver((list) => {
  for (const {interactionId, duration} of list.getEntries()) if (interactionId) window.interactions.push(duration);
}).observe({type: "event", durationThreshold: 16});
"""
"""Runs before the page's own scripts."""
out = report.console()


@dataclass(frozen=True, slots=True)
class Size:
    """What a page has, after garbage was collected."""

    heap: int
    nodes: int
    resident: int
    """Bytes of the renderer's process."""


@dataclass(slots=True)
class Seen:
    """What was measured of one answer."""

    kind: str
    tokens: int
    seconds: float = 0.0
    characters: int = 0
    tasks: Sequence[Spent] = field(default_factory=list)
    interactions: Sequence[float] = field(default_factory=list)
    """Milliseconds from a key to the next paint, in order of size. Quicker ones than 16 ms are 16."""
    typed: str = field(default="", repr=False)
    sizes: Sequence[Size] = field(default_factory=list)
    """Before the answer, and after it."""
    api: float = 0.0
    """CPU seconds of the API process."""
    load: tuple[float, float] = (0.0, 0.0)


def main(
    kind: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(texts.KINDS)}; may be given again.")] = None,
    tokens: Annotated[int, typer.Option(help="Of each answer.")] = TOKENS,
    pace: Annotated[int, typer.Option(help="Milliseconds from token to token.")] = PACE_MS,
) -> None:
    """Print what the tasks of the page's main thread took. An answer of 25,000 tokens takes 125 seconds."""
    try:
        answers = asyncio.run(measured(kind or texts.KINDS[:1], tokens, pace))
    except CannotStart as problem:
        out.print(f"error: {problem}", markup=False)
        raise typer.Exit(2) from None
    out.print(table(answers))
    for seen in answers:
        out.print(*_slowest(seen), sep="\n", highlight=False)


async def measured(kinds: Sequence[str], tokens: int, pace: int) -> list[Seen]:
    async with AsyncExitStack() as ending:
        browser = await ending.enter_async_context(chromium_trace.browser())
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="yout-playground-")))
        upstream, child = await start_upstream(folder / "upstream.log")
        ending.push_async_callback(child.end)
        stack = Stack(folder, upstream, [f"{kind}-{pace}-{tokens}" for kind in kinds])
        site = await ending.enter_async_context(started("this tree", stack))
        answers = []
        for kind in kinds:
            context = await browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
            await context.add_init_script(OBSERVED)
            await context.add_cookies(site.cookies)  # type: ignore[arg-type]  # a TypedDict of theirs
            page = await context.new_page()
            await page.goto(f"{site.api.url}/chat?model=bench-{kind}-{pace}-{tokens}")
            answers.append(await _answered(page, site.api, Seen(kind, tokens), pace))
            await context.close()
        return answers


async def _answered(page: Page, api: Api, seen: Seen, pace: int) -> Seen:
    """Ask, and measure until the answer and its cost are there."""
    browser = page.context.browser
    assert browser is not None  # noqa: S101  # it was launched
    devtools = await page.context.new_cdp_session(page)
    before = {one: process.memory(one) for one in await chromium_trace.renderers(browser)}
    heap, nodes = await _heap(devtools)
    await page.get_by_label("Your message").fill("Write.")
    used, began, load = process.running_seconds(api.pid), time.perf_counter(), _load()
    await browser.start_tracing(page=page, categories=list(chromium_trace.CATEGORIES))
    await page.keyboard.press("Enter")
    answer = page.locator("article.answer")
    await answer.wait_for()
    limit = seen.tokens * pace / 1000 + SLACK_SECONDS
    typing = asyncio.create_task(_type(page))
    try:
        await page.locator("article.answer:not([aria-busy]) footer b").wait_for(timeout=limit * 1000)
    finally:
        typing.cancel()
    seen.seconds = time.perf_counter() - began
    await page.wait_for_timeout(1000)  # what is put off until the browser is idle
    traced = await browser.stop_tracing()
    seen.api, seen.load = process.running_seconds(api.pid) - used, (load, _load())
    renderer, seen.tasks = chromium_trace.tasks(orjson.loads(traced))
    seen.sizes = [
        Size(heap, nodes, before.get(renderer, 0)),
        Size(*await _heap(devtools), process.memory(renderer)),
    ]
    seen.interactions = sorted(await page.evaluate("window.interactions"))
    seen.characters = await page.evaluate("document.querySelector('.answer .prose').textContent.length")
    seen.typed = await page.get_by_label("Your message").input_value()
    return seen


async def _type(page: Page) -> None:
    while True:
        for letter in TYPED:
            await page.keyboard.press("Space" if letter == " " else letter)
            await asyncio.sleep(TYPED_EVERY)


async def _heap(devtools: CDPSession) -> tuple[int, int]:
    """Return the bytes of scripts and the number of nodes."""
    await devtools.send("HeapProfiler.collectGarbage")
    await devtools.send("Performance.enable")
    metrics: list[dict[str, Any]] = (await devtools.send("Performance.getMetrics"))["metrics"]
    await devtools.send("Performance.disable")
    values = {one["name"]: int(one["value"]) for one in metrics}
    return values["JSHeapUsedSize"], values["Nodes"]


def _load() -> float:
    return float(Path("/proc/loadavg").read_text().split()[0])


def table(answers: Sequence[Seen]) -> Table:
    shown = Table("", *(f"{seen.kind}, {seen.tokens:,} tokens" for seen in answers))
    rows = [rows_of(seen) for seen in answers]
    for name in rows[0]:
        shown.add_row(name, *(row[name] for row in rows))
    return shown


def rows_of(seen: Seen) -> dict[str, str]:
    """The figures of an answer, by what they are."""
    painting = [task for task in seen.tasks if task.paints]
    half = len(painting) // 2
    before, after = seen.sizes
    long = [task for task in seen.tasks if task.wall > LONG_MS]
    return {
        "load, before and after": f"{seen.load[0]:.1f}, {seen.load[1]:.1f}",
        "seconds": f"{seen.seconds:.1f}",
        "characters shown": f"{seen.characters:,}",
        "frames": f"{len(painting):,}",
        "ms of a frame, p50, p99, most": _spread([task.wall for task in painting]),
        "  in CPU time": _spread([task.cpu for task in painting]),
        "  in CPU time, first half": _spread([task.cpu for task in painting[:half]]),
        "  in CPU time, second half": _spread([task.cpu for task in painting[half:]]),
        f"tasks over {LONG_MS} ms": f"{len(long)}",
        "  over it in CPU time": f"{sum(task.cpu > LONG_MS for task in seen.tasks)}",
        "ms of the longest task, CPU": f"{max(task.cpu for task in seen.tasks):.1f}",
        "ms from a key to the next paint, p50, p98": _spread(seen.interactions, 98),
        "keys typed": f"{len(seen.typed)}",
        "main thread's share of a core": f"{sum(task.cpu for task in seen.tasks) / seen.seconds / 1000:.2f}",
        "API's share of a core": f"{seen.api / seen.seconds:.2f}",
        "MiB of JavaScript, before and after": f"{before.heap / 2**20:.1f}, {after.heap / 2**20:.1f}",
        "nodes, before and after": f"{before.nodes:,}, {after.nodes:,}",
        "MiB of the renderer, before and after": f"{before.resident / 2**20:.0f}, {after.resident / 2**20:.0f}",
    }


def _spread(values: Sequence[float], percent: int = 99) -> str:
    ordered = sorted(values)
    return ", ".join(f"{percentile(ordered, part):.1f}" for part in (50, percent, 100))


def _slowest(seen: Seen) -> list[str]:
    tasks = sorted(seen.tasks, key=lambda task: -task.cpu)[:5]
    return [f"longest of {seen.kind}:", *(f"  {task}" for task in tasks)]


if __name__ == "__main__":
    typer.run(main)

"""`python -m bench.first_paint`: when Chromium paints the web app's pages, beside an empty page with the same headers.

Cold: in a browser that has nothing of the site and comes from elsewhere, so that `cross-origin-opener-policy` makes
Chromium begin a process. Again: by a link, from another page of the site. All pages are measured in turns: what slows
a turn down slows the empty page down, too. `--against COMMIT` measures that commit in the same turns.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated

import typer
from aiohttp import web
from playwright.async_api import Browser, Page
from rich.table import Table

from bench import chromium_trace, report, site
from bench.plan import percentile
from bench.site import Site
from bench.stack import Stack
from dev import ports
from dev.errors import CannotStart

EMPTY = "empty page"
SHARED = "/c/…"
PAGES = ("/", "/chat", "/keys", "/models", "/activity", "/studio/image", SHARED)
FOR_VISITORS = ("/", SHARED)
CATALOG = {"YOUT_CATALOG": ""}
"""The shipped one: what a page lists is part of what it costs."""
CHAT = {"title": "A chat", "messages": [{"role": "assistant", "content": "# A title\n\nA text.\n" * 20}]}
SETTLED_MS = 300
"""After a page is loaded: what moves it later counts as a layout shift."""
OBSERVED = """
window.seen = {shift: 0, long: []};
const observe = (type, note) => new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({type});
window.painted = new Promise((done) => {
  observe("paint", ({name, startTime}) => { if (name === "first-contentful-paint") done(startTime); });
});
observe("layout-shift", ({hadRecentInput, value}) => { if (!hadRecentInput) seen.shift += value; });
observe("longtask", ({duration}) => seen.long.push(duration));
"""
"""Runs before the page's own scripts."""
out = report.console()


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    url: str
    cookies: Sequence[Mapping[str, str]] = field(repr=False)
    before: str
    """The page from which one comes again."""


@dataclass(slots=True)
class Painted:
    """Milliseconds until the first contentful paint, by turn."""

    cold: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    shifts: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    """Tasks over 50 ms of all turns, in milliseconds."""

    def cells(self, empty: "Painted") -> list[str]:
        times = [*_spread(self.cold, empty.cold), *_spread(self.again, empty.again)]
        return [*times, f"{max(self.shifts):.3f}", f"{len(self.long)}, {max(self.long, default=0):.0f} ms"]


def main(
    turns: Annotated[int, typer.Option(help="How often each page has its turn.")] = 30,
    against: Annotated[str, typer.Option(help="Measure this commit too, in the same turns.")] = "",
) -> None:
    """Print when each page is painted, and how many times as late as an empty page."""
    load = os.getloadavg()[0]
    try:
        painted = asyncio.run(measured(turns, against))
    except CannotStart as problem:
        out.print(f"error: {problem}", markup=False)
        raise typer.Exit(2) from None
    columns = [f"{how} {what}" for how in ("cold", "again") for what in ("p50 ms", "p95 ms", "times empty")]
    shown = Table("page", *columns, "most shift", "tasks over 50 ms", title=f"{turns} turns")
    for name, one in painted.items():
        shown.add_row(name, *one.cells(painted[EMPTY]))
    out.print(shown)
    for page in PAGES if against else ():
        newer, older = painted[page], painted[f"{page} of {against}"]
        out.print(f"{page}: {_gained(newer.cold, older.cold)} cold, {_gained(newer.again, older.again)} again")
    out.print(f"load average {load:.1f} before, {os.getloadavg()[0]:.1f} after")


def _spread(times: Sequence[float], empty: Sequence[float]) -> list[str]:
    """The ratio is the median over turns."""
    ratio = median(one / other for one, other in zip(times, empty, strict=True))
    return [*(f"{percentile(sorted(times), part):.0f}" for part in (50, 95)), f"{ratio:.2f}"]


def _gained(newer: Sequence[float], older: Sequence[float]) -> str:
    """What this tree takes more than the commit: the median over turns, and the quarters around it."""
    more = sorted(one - other for one, other in zip(newer, older, strict=True))
    low, middle, high = (percentile(more, part) for part in (25, 50, 75))
    return f"{middle:+.0f} ms ({low:+.0f} to {high:+.0f})"


async def measured(turns: int, against: str) -> dict[str, Painted]:
    async with AsyncExitStack() as ending:
        browser = await ending.enter_async_context(chromium_trace.browser())
        folder = await ending.enter_async_context(site.work_folder("paint"))
        trees = await ending.enter_async_context(site.trees(folder, against))
        sites = [
            await ending.enter_async_context(site.started(name, Stack(folder / name, 0, [], checkout), CATALOG))
            for name, checkout in trees
        ]
        targets = [
            target for one in sites for target in await _targets(one, "" if one is sites[-1] else f" of {against}")
        ]
        targets.append(await ending.enter_async_context(_empty(sites[-1])))
        painted = {target.name: Painted() for target in reversed(targets)}
        for turn in range(turns):
            for target in targets if turn % 2 else reversed(targets):
                await _turn(browser, target, painted[target.name])
        return painted


async def _targets(one: Site, suffix: str) -> list[Target]:
    async with one.browser.post("/api/chat/share/", json=CHAT) as answer:
        answer.raise_for_status()
        shared = f"/c/{(await answer.json())['slug']}"
    addresses = {page: f"{one.api.url}{shared if page == SHARED else page}" for page in PAGES}
    own = [(one.cookies, f"{one.api.url}/webhooks"), ((), f"{one.api.url}/sign-in")]
    return [Target(page + suffix, url, *own[page in FOR_VISITORS]) for page, url in addresses.items()]


@asynccontextmanager
async def _empty(one: Site) -> AsyncIterator[Target]:
    """A server whose only page has the headers of ours."""
    async with one.browser.get("/sign-in") as answer:
        sizes = {"content-encoding", "content-length"}
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in sizes}

    async def answered(_: web.Request) -> web.Response:
        return web.Response(body=b"<!doctype html><title>Empty</title><p>Empty", headers=headers)

    app, port = web.Application(), ports.free()
    app.router.add_get("/{path:.*}", answered)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield Target(EMPTY, f"http://127.0.0.1:{port}/", (), f"http://127.0.0.1:{port}/before")
    finally:
        await runner.cleanup()


async def _turn(browser: Browser, target: Target, painted: Painted) -> None:
    """Open a page as somebody new, and then come to it from another one."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    await context.add_init_script(OBSERVED)
    await context.add_cookies(list(target.cookies))  # type: ignore[arg-type]  # a TypedDict of theirs
    page = await context.new_page()
    await page.goto(target.url)
    await _note(page, painted, painted.cold)
    await page.goto(target.before)
    await page.wait_for_timeout(SETTLED_MS)
    async with page.expect_navigation(url=target.url):
        await page.evaluate("(url) => { location.href = url; }", target.url)
    await _note(page, painted, painted.again)
    await context.close()


async def _note(page: Page, painted: Painted, times: list[float]) -> None:
    times.append(await page.evaluate("painted"))
    await page.wait_for_timeout(SETTLED_MS)
    seen = await page.evaluate("seen")
    painted.shifts.append(seen["shift"])
    painted.long += seen["long"]


if __name__ == "__main__":
    typer.run(main)

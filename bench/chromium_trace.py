"""Chromium's own trace: which tasks the main thread of a page has run, and what each took."""

import shutil
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, async_playwright

from dev.errors import CannotStart

NAMES = ("chromium", "chromium-browser", "google-chrome")
CATEGORIES = ("devtools.timeline", "disabled-by-default-devtools.timeline", "v8")
_TASK = "RunTask"
_FRAMES = frozenset({"FireAnimationFrame", "Layerize", "Paint", "Commit"})
_PARTS = 4


@dataclass(slots=True)
class Spent:
    """One task. Times are milliseconds."""

    began: float
    """Microseconds of the trace's clock."""
    wall: float
    cpu: float
    parts: Counter[str] = field(default_factory=Counter)
    """Milliseconds of what it did, by name; what is inside of another counts there too."""

    @property
    def paints(self) -> bool:
        return not _FRAMES.isdisjoint(self.parts)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {taken:.1f}" for name, taken in self.parts.most_common(_PARTS))
        return f"{self.cpu:.1f} ms of CPU in {self.wall:.1f} ms: {parts}"


def program() -> str:
    """Raises `CannotStart` if this machine has no Chromium."""
    program_path = next(filter(None, map(shutil.which, NAMES)), None)
    if program_path is None:
        raise CannotStart("Chromium is not installed. On Debian: apt install chromium")
    return program_path


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Raises `CannotStart` if this machine has no Chromium."""
    path = program()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield started
        finally:
            await started.close()


async def renderers(browser: Browser) -> list[int]:
    """Return the processes of pages. One of them may wait for a page."""
    session = await browser.new_browser_cdp_session()
    listed = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    await session.detach()
    return [int(one["id"]) for one in listed if one["type"] == "renderer"]


def tasks(trace: Mapping[str, Any]) -> tuple[int, Sequence[Spent]]:
    """Return the renderer that has worked most, and the tasks of its main thread, in their order."""
    events: list[dict[str, Any]] = trace["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    mains = {(event["pid"], event["tid"]) for event in named if event["args"]["name"] == "CrRendererMain"}
    of_main: dict[int, list[dict[str, Any]]] = {process: [] for process, _ in mains}
    for event in events:
        if event["ph"] == "X" and (event["pid"], event["tid"]) in mains:
            of_main[event["pid"]].append(event)
    process, whole = max(of_main.items(), key=lambda pair: sum(one["dur"] for one in pair[1] if one["name"] == _TASK))
    rows = [
        Spent(event["ts"], event["dur"] / 1000, event.get("tdur", event["dur"]) / 1000)
        for event in sorted(whole, key=lambda event: event["ts"])
        if event["name"] == _TASK
    ]
    starts = [task.began for task in rows]
    for event in whole:
        place = bisect_right(starts, event["ts"]) - 1
        if event["name"] != _TASK and place >= 0:
            rows[place].parts[event["name"]] += event.get("dur", 0) / 1000
    return process, rows

"""A page in a real browser, and what it must not do: say something on the console, break, ask another server."""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, Response

from tests.support.client_environments import environment
from tests.support.stack import eventually
from web import assets

SENTENCES = """
() => import(document.querySelector("script[src*='/js/chat.js']").src.replace("chat", "troubles")).then(() => null)
"""
"""Waits for the script of the Playground that says what went wrong: without a network it cannot be had."""
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
OBSERVED = """
document.addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI}) => {
  console.error(`policy: ${violatedDirective} ${blockedURI}`);
});
let shift = 0;
const shifts = [];
new PerformanceObserver((list) => {
  for (const {hadRecentInput, value, startTime, sources} of list.getEntries()) {
    if (hadRecentInput) continue;
    shift += value;
    const moved = sources.map(({node, previousRect: from, currentRect: to}) => {
      const name = node instanceof Element ? node.outerHTML.slice(0, 80) : node?.textContent;
      return `${name} from ${JSON.stringify(from)} to ${JSON.stringify(to)}`;
    });
    shifts.push(`layout shift of ${value} after ${startTime} ms: ${moved.join(", ")}`);
  }
}).observe({type: "layout-shift", buffered: true});
Object.defineProperty(window, "layoutShifts", {get: () => (shift < 0.0005 ? [] : shifts)});
"""
"""Runs before the page's own scripts."""
SETTLED = """
() => new Promise((settled) => {
  requestIdleCallback(() => requestAnimationFrame(() => setTimeout(() => {
    settled(document.activeElement !== document.body || !document.querySelector("[autofocus]"));
  })), {timeout: 1000});
})
"""
"""What scripts put off has begun, all is painted, and the field to begin in has the focus."""
SIZED = "(size) => { document.documentElement.style.fontSize = size; }"
UNSEEN = """
() => {
  const page = document.scrollingElement, unseen = [...document.querySelectorAll(".visually-hidden")];
  const height = page.scrollHeight;
  for (const one of unseen) one.style.setProperty("display", "none");
  const without = page.scrollHeight;
  for (const one of unseen) one.style.removeProperty("display");
  return height - without;
}
"""
OUTSIDE = """
() => {
  const framed = (one) => {
    const {borderRightWidth, overflowX, display} = getComputedStyle(one);
    return parseFloat(borderRightWidth) > 0 && overflowX === "visible" && !["inline", "contents"].includes(display);
  };
  const wider = [...document.querySelectorAll("body *")].filter((one) => one.scrollWidth > one.clientWidth + 1);
  return wider.filter((one) => one.checkVisibility() && framed(one)).map((one) => one.outerHTML.slice(0, 120));
}
"""
"""Boxes with a border, out of which something sticks at the side."""
_UNENDING = {"eventsource", "media"}
_ERRORS_FROM = 400
AXE = """
async (rules) => {
  const runOnly = {type: rules.length > 1 ? "tag" : "rule", values: rules};
  const {violations} = await axe.run(document, {runOnly, preload: false, resultTypes: ["violations"]});
  const written = (rule, {html, failureSummary}) => `${rule.id}: ${html.slice(0, 200)}: ${failureSummary}`;
  return violations.flatMap((rule) => rule.nodes.map((node) => written(rule, node)));
}
"""
TARGETS = """
(most) => {
  const hits = (one, x, y) => {
    const hit = document.elementFromPoint(x, y)?.closest("a, button, summary, label, input, select, textarea");
    return hit === one || [...(one.labels ?? [])].includes(hit);
  };
  const isInText = (one) => getComputedStyle(one).display === "inline"
    && (one.closest("p")?.textContent.trim().length ?? 0) > one.textContent.trim().length;
  const small = [], all = "main :is(a[href]:not([tabindex='-1']), button, input, select, summary, textarea)";
  for (const one of document.querySelectorAll(all)) {
    if (!one.checkVisibility({visibilityProperty: true}) || isInText(one)) continue;
    one.scrollIntoView({block: "center"});
    const {left, top, width, height} = one.getBoundingClientRect(), x = left + Math.min(width / 2, 60);
    let [above, below] = [0, 0];
    const middle = top + height / 2;
    while (above < most && hits(one, x, middle - above - 1)) above += 1;
    while (below < most && hits(one, x, middle + below + 1)) below += 1;
    if (above + below < most - 2) small.push(`${above + below} of ${most} pixels: ${one.outerHTML.slice(0, 160)}`);
  }
  return small;
}
"""
"""How high the place is that a finger may touch, pixel by pixel. A link within a sentence is as high as its line."""
TABLES = """
() => [...document.querySelectorAll("table:is(.table, .lines, .data)")].filter((table) => {
  const label = document.getElementById(table.getAttribute("aria-labelledby"));
  const heads = table.tHead || [...table.rows].every((row) => row.querySelector("th[scope=row]"));
  return !heads || !label && !table.caption && !table.hasAttribute("aria-label");
}).map((table) => `no name, or no heads: ${table.outerHTML.slice(0, 160)}`)
"""
"""Tables of which a screen reader cannot say what they are, or what a cell is of."""
WIDE, PHONE, NARROW = 1280, 390, 320
_HEIGHT, _TARGET = 800, 40
KB = 1024
CSS, FONTS = 12 * KB, 75 * KB
HTML = {"/": 6 * KB, "/chat": 8 * KB}
JS = {"/": 10 * KB, "/chat": 22 * KB, "/chat/{conversation_id}": (22 + 44 + 30) * KB}
OTHER_HTML, OTHER_JS = 25 * KB, 12 * KB


@cache
def axe() -> str:
    return environment("node").script("axe-core", "axe.min.js").read_text("utf-8")


async def copied(page: Page, text: str) -> str:
    """Return what the clipboard has, once the text is in it: a button that copies writes to it later."""

    async def there() -> bool:
        return text in await page.evaluate("navigator.clipboard.readText()")

    assert await eventually(there)
    return str(await page.evaluate("navigator.clipboard.readText()"))


@dataclass(slots=True)
class Weight:
    """Bytes that a page takes to be shown, compressed as they are sent."""

    html: int
    css: int
    js: int
    fonts: int


@dataclass
class Watched:
    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)
    status: int = 0
    loading: set[Request] = field(default_factory=set)

    @classmethod
    async def of(cls, context: BrowserContext, origin: str) -> "Watched":
        watched = cls(await context.new_page(), origin)
        watched.page.on("console", watched._printed)
        watched.page.on("pageerror", lambda error: watched.faults.append(f"error: {error}"))
        watched.page.on("request", watched._sent)
        watched.page.on("requestfinished", watched._loaded)
        watched.page.on("requestfailed", watched._loaded)
        return watched

    def _printed(self, message: ConsoleMessage) -> None:
        refused = self.status >= _ERRORS_FROM or message.location.get("url", "") == self.page.url
        nobody_known = self.page.url.endswith("/reset") and message.text.startswith("[DOM] Password forms should")
        if not nobody_known and not (refused and message.text.startswith("Failed to load resource")):
            self.faults.append(f"console: {message.text}")

    def _sent(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", f"blob:{self.origin}/", "data:")):
            self.faults.append(f"request: {request.url}")
        if request.resource_type not in _UNENDING:
            self.loading.add(request)

    def _loaded(self, request: Request) -> None:
        self.loading.discard(request)

    async def open(self, path: str) -> Response:
        """Returns when the page is settled."""
        self.loading.clear()
        answer = await self.page.goto(self.origin + path, wait_until="load")
        assert answer is not None
        self.status = answer.status
        await self.settled()
        return answer

    async def settled(self) -> None:
        """Wait until nothing more comes by itself: what was loaded is there, and the focus is where it begins."""

        async def quiet() -> bool:
            return bool(await self.page.evaluate(SETTLED)) and not self.loading

        assert await eventually(quiet), [request.url for request in self.loading]

    async def examine(self) -> list[str]:
        """Return what is wrong with the page that is open, in light and dark, on a desk and on a phone."""
        await self.page.evaluate(axe())
        faults = [str(one) for one in await self.page.evaluate(TABLES)]
        for width in (WIDE, PHONE):
            await self.resize(width)
            for scheme, rules in (("light", RULES), ("dark", ("color-contrast",))):
                await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # literals
                faults += [f"{width} {scheme} {one}" for one in await self.page.evaluate(AXE, list(rules))]
        await self.page.emulate_media(color_scheme="light")
        return faults + await self.overflow()

    async def overflow(self) -> list[str]:
        """Return what is wider than its box, the narrowest screen or a wide one with large text, or higher unseen.

        What scrolls inside of itself may be.
        """
        await self.resize(NARROW)
        widths, outside = {NARROW: await self.width()}, list(await self.page.evaluate(OUTSIDE))
        await self.resize(WIDE)
        outside += await self.page.evaluate(OUTSIDE)
        await self.page.evaluate(SIZED, "200%")
        widths[WIDE] = await self.width()
        outside += await self.page.evaluate(OUTSIDE)
        await self.page.evaluate(SIZED, "")
        scrolled = await self.page.evaluate(UNSEEN)
        return [
            *(f"{width} pixels wide at {limit}" for limit, width in widths.items() if width > limit),
            *(f"sticks out of its box: {one}" for one in outside),
            *([f"scrolls by {scrolled} pixels for what nobody sees"] if scrolled else []),
        ]

    async def small_targets(self) -> list[str]:
        """Return what is too low for a finger, on a phone."""
        await self.resize(PHONE)
        small = [str(one) for one in await self.page.evaluate(TARGETS, _TARGET)]
        await self.resize(WIDE)
        return small

    async def resize(self, width: int) -> None:
        await self.page.set_viewport_size({"width": width, "height": _HEIGHT})
        assert await eventually(lambda: self.page.evaluate("(width) => window.innerWidth === width", width))

    async def width(self) -> int:
        return int(await self.page.evaluate("document.documentElement.scrollWidth"))

    async def layout_shifts(self) -> list[str]:
        """Return what moved without input, and where. What three decimals do not show together is nothing."""
        return [str(one) for one in await self.page.evaluate("window.layoutShifts")]

    async def weight(self) -> Weight:
        """Return what the page that is open took, with what its browser had kept of others."""
        timing: dict[str, Any] = json.loads(await self.page.evaluate(_TAKEN))
        files = assets.load().files
        sizes = [
            (name.rpartition(".")[2], len(files[name].packed or files[name].content))
            for name in (path.split("/", 3)[3] for path in timing["paths"] if path.startswith("/assets/"))
        ]

        def total(*kinds: str) -> int:
            return sum(size for kind, size in sizes if kind in kinds)

        return Weight(timing["html"], total("css"), total("js", "mjs"), total("woff2"))

    async def overweight(self, path: str) -> list[str]:
        """Return what is more than the page at this path of `web.routes` may take."""
        weight = await self.weight()
        limits = Weight(HTML.get(path, OTHER_HTML), CSS, JS.get(path, OTHER_JS), FONTS)
        return [
            f"{name}: {getattr(weight, name)} of {getattr(limits, name)} bytes"
            for name in ("html", "css", "js", "fonts")
            if getattr(weight, name) > getattr(limits, name)
        ]


_TAKEN = """
JSON.stringify({
  html: performance.getEntriesByType("navigation")[0].encodedBodySize,
  paths: performance.getEntriesByType("resource").map(({name}) => new URL(name).pathname),
})
"""

"""The customer: orders media jobs until the API has taken each of them, and cancels those that would never end."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from random import Random
from typing import Any

import aiohttp
from PIL import Image, PngImagePlugin

from bench.torture.stack import TortureStack

AT_ONCE = 8
JOB_TIMEOUT = 240.0
PAUSE = 0.5
CANCELLED = 0.05
"""The share of all jobs that the customer cancels at some moment."""
HOOKS = 0.5
"""The share of all jobs with a `webhook_url`."""
TIMEOUT = 15.0

Offer = Mapping[str, Any]


@dataclass(slots=True)
class Ordered:
    """A job as the customer knows it."""

    number: int
    offer: Offer
    prompt: str = field(repr=False)
    cancels: bool = False
    well: bool = True
    """Its vendor makes it, and nobody cancels it."""
    file: str = ""
    """How it gets its input file: `upload` or `data`. Empty: it has none."""
    hook: bool = False
    """Its end is told to a URL of its own, too."""
    job: str | None = None
    """Its id. None: the API has not taken it."""
    answers: list[int] = field(default_factory=list)
    """The statuses of all attempts to order it; zero where there was none."""

    @property
    def fault(self) -> str:
        """What its prompt tells its vendor to do."""
        return self.prompt.partition("[")[2].rstrip("]")

    @property
    def name(self) -> str:
        return f"job {self.number} ({self.offer['model']})"


def quick(offers: Sequence[Offer]) -> list[Offer]:
    """Without those that take minutes to end by themselves."""
    faults = {offer["model"]: [fault for fault in offer["faults"] if fault != "never"] for offer in offers}
    ending = [offer for offer in offers if not offer["never"] and not offer["upstream"].endswith("--lost")]
    return [{**offer, "faults": faults[offer["model"]]} for offer in ending]


def script(seed: int, count: int, offers: Sequence[Offer], canary: str) -> list[Ordered]:
    """The same jobs for the same seed: each vendor in turn. In every third round vendors misbehave."""
    dice = Random(seed)  # noqa: S311  # repeatable, not secret
    vendors = sorted({offer["provider"] for offer in offers})
    orders = []
    for number in range(count):
        if number % len(vendors) == 0:
            dice.shuffle(vendors)
        well = number // len(vendors) % 3 != 2
        vendor = vendors[number % len(vendors)]
        offer = dice.choice([each for each in offers if each["provider"] == vendor and each["well"] >= well])
        faults = [] if well or not offer["well"] else offer["faults"]
        fault = dice.choice(faults) if faults else ""
        cancels = offer["never"] or fault == "never" or dice.random() < CANCELLED
        prompt = f"order-{number}-{canary} a lake" + (f" [{fault}]" if fault else "")
        order = Ordered(number, offer, prompt, cancels, well and not cancels)
        order.file = dice.choice(("", "upload", "data")) if offer["takes"] else ""
        order.hook = dice.random() < HOOKS
        orders.append(order)
    return orders


def picture(canary: str) -> bytes:
    """An input file that has the word in it."""
    written, info = BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Comment", canary)
    Image.new("RGB", (64, 64), (20, 60, 200)).save(written, "PNG", pnginfo=info)
    return written.getvalue()


@dataclass(slots=True)
class Customer:
    stack: TortureStack
    orders: list[Ordered]
    seed: int
    session: aiohttp.ClientSession
    picture: bytes = field(repr=False)
    leaves: bool = False
    """No job begins any more."""

    async def run(self, may_begin: Callable[[int], bool]) -> None:
        """Order them all; each when it may begin."""
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._order(order, may_begin, places) for order in self.orders))

    async def _order(self, order: Ordered, may_begin: Callable[[int], bool], places: asyncio.Semaphore) -> None:
        while not may_begin(order.number):
            await asyncio.sleep(0.1)
            if self.leaves:
                return
        async with places:
            await self._accepted(order)
        if order.cancels and order.job is not None:
            await self._cancel(order)

    async def _accepted(self, order: Ordered) -> None:
        """With one `Idempotency-Key`, until the customer knows."""
        speech = order.offer["kind"] == "speech"
        body = {"input" if speech else "prompt": order.prompt, "model": order.offer["model"], **order.offer["body"]}
        if order.hook:
            body["webhook_url"] = f"{self.stack.vendors}/hooks/job"
        if order.file:
            body[order.offer["takes"]] = await self._input(order)
        key = {"idempotency-key": f"order-{self.seed}-{order.number}"}
        deadline = asyncio.get_running_loop().time() + JOB_TIMEOUT
        while asyncio.get_running_loop().time() < deadline:
            status, answer = await self.call("POST", f"/api/media/{order.offer['kind']}/", json=body, headers=key)
            order.answers.append(status)
            if status == 202:
                order.job = answer["job_uuid"]
                return
            if status not in (0, 409, 429, 503):
                return
            await asyncio.sleep(PAUSE)

    async def _input(self, order: Ordered) -> str:
        """A data URI, or the id of an upload."""
        if order.file == "data":
            return f"data:image/png;base64,{b64encode(self.picture).decode()}"
        for _ in range(int(JOB_TIMEOUT / PAUSE)):
            status, answer = await self.call("POST", "/api/media/uploads/", data=self.picture)
            if status == 201:
                return str(answer["id"])
            await asyncio.sleep(PAUSE)
        return "upload_of_nothing"

    async def _cancel(self, order: Ordered) -> None:
        """At a moment of its own."""
        dice = Random(self.seed * 10_000 + order.number)  # noqa: S311  # repeatable, not secret
        await asyncio.sleep(3 * dice.random())
        for _ in range(int(JOB_TIMEOUT / PAUSE)):
            status, _ = await self.call("POST", f"/api/media/jobs/{order.job}/cancel/")
            if 200 <= status < 500 and status != 429:
                return
            await asyncio.sleep(PAUSE)

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Through one of the APIs: the status, and the JSON. Zero: the connection broke."""
        api = self.stack.apis[int(asyncio.get_running_loop().time() * 1000) % len(self.stack.apis)]
        headers = {"authorization": f"Bearer {self.stack.token}", **more.pop("headers", {})}
        timeout = aiohttp.ClientTimeout(TIMEOUT)
        try:
            request = self.session.request(method, api.url + path, headers=headers, timeout=timeout, **more)
            async with request as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, None

"""The whole stack with one API process, and customers of it."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench import process
from bench.media.figures import Plan
from bench.stack import HERE, Checkout
from bench.torture.stack import TortureStack, Toys, Worker
from dev.errors import CannotStart

CREDITS = 10**12
AT_ONCE = 16
TIMEOUT = 300.0
STEP = 0.25
QUICK = {"model": "my-toy", "prompt": "a lake"}
"""Its vendor is done at once."""
ENDLESS = {"model": "my-grok-video", "prompt": "a lake [never]"}
CHAT = {"model": "demo-chat", "messages": [{"role": "user", "content": "a lake"}], "max_tokens": 1}
OPEN = "SELECT count(*) FROM media_jobs WHERE state IN ('queued', 'running')"
ENDED = "SELECT count(*) FROM media_jobs WHERE state IN ('succeeded', 'failed', 'cancelled')"


@dataclass(frozen=True, slots=True)
class Customer:
    """An account's session."""

    session: aiohttp.ClientSession

    async def post(self, path: str, body: dict[str, Any]) -> tuple[float, Any]:
        """The seconds that it took, and the answer."""
        began = time.perf_counter()
        async with self.session.post(path, json=body) as answer:
            answer.raise_for_status()
            content = await answer.json()
        return time.perf_counter() - began, content

    async def chat(self) -> float:
        return (await self.post("/v1/chat/completions", CHAT))[0]

    async def order(self, count: int, kind: str, body: dict[str, Any], max_seconds: float = math.inf) -> list[str]:
        """Return the jobs' ids. Some orders are under way at once; none begins after that many seconds."""
        began, numbers, jobs = time.perf_counter(), iter(range(count)), list[str]()

        async def some() -> None:
            while time.perf_counter() - began < max_seconds and next(numbers, None) is not None:
                jobs.append(str((await self.post(f"/api/media/{kind}/", body))[1]["job_uuid"]))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(count, AT_ONCE)):
                group.create_task(some())
        return jobs

    async def job_seconds(self) -> tuple[float, float]:
        """Seconds until a quick job was accepted, and until it had ended."""
        began = time.perf_counter()
        accepted, job = await self.post("/api/media/image/", QUICK)
        async with self.session.get(f"/api/media/jobs/{job['job_uuid']}/events/") as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"event: done"):
                    return accepted, time.perf_counter() - began
        raise TimeoutError(f"job {job['job_uuid']} did not end while it was followed")


@dataclass(frozen=True, slots=True)
class Running:
    stack: TortureStack
    customer: Customer
    other: Customer
    """Of another account."""

    @property
    def api(self) -> int:
        return self.stack.apis[0].pid

    @property
    def servers(self) -> dict[str, int]:
        postgres, temporal = self.stack.postgres.pid, self.stack.temporal.pid
        assert postgres is not None and temporal is not None  # noqa: PT018, S101  # they run
        return {"API": self.api, "PostgreSQL": postgres, "Temporal": temporal}

    async def until(self, query: str, count: int, *values: object) -> None:
        """Until it counts exactly so many. Raises `CannotStart` if it does not."""
        if (counted := await self.counted(query, count, TIMEOUT, *values)) != count:
            raise CannotStart(f"{counted} instead of {count}: {query}")

    async def counted(self, query: str, count: int, max_seconds: float, *values: object) -> int:
        """Wait until it counts exactly so many, but no longer than that. Return what it counts."""
        began = time.perf_counter()
        while (counted := await self.stack.number(query, *values)) != count:
            if time.perf_counter() - began > max_seconds:
                break
            await asyncio.sleep(STEP)
        return counted

    @asynccontextmanager
    async def working(self, count: int) -> AsyncIterator[list[Worker]]:
        async with AsyncExitStack() as ending:
            workers = []
            for _ in range(count):
                workers.append(await self.stack.add_worker())
                ending.push_async_callback(workers[-1].stop)
            yield workers


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds of processes since `began`."""

    pids: dict[str, int]
    before: dict[str, float]

    @classmethod
    def began(cls, pids: dict[str, int]) -> "Costs":
        return cls(pids, {name: process.cpu_seconds(pid) for name, pid in pids.items()})

    def spent(self) -> dict[str, float]:
        return {name: process.cpu_seconds(pid) - self.before[name] for name, pid in self.pids.items()}


@asynccontextmanager
async def running(folder: Path, plan: Plan, checkout: Checkout = HERE) -> AsyncIterator[Running]:
    """Without a worker, to begin with: one has been there, for Temporal to have our search attributes."""
    listeners = str(plan.listeners + AT_ONCE)
    extra = {"YOUT_MAX_LISTENERS_PER_ACCOUNT": listeners, "YOUT_MAX_LISTENERS": listeners}
    stack = TortureStack(folder, extra, Toys(checkout.root, checkout.interpreter))
    async with AsyncExitStack() as opened:
        opened.push_async_callback(stack.stop)
        await stack.start(1, 0, CREDITS)
        tokens: Iterable[str] = (stack.token, (await stack.open_account(CREDITS))[1])
        customers = []
        for token in tokens:
            session = aiohttp.ClientSession(
                stack.apis[0].url,
                headers={"authorization": f"Bearer {token}"},
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(None),
            )
            customers.append(Customer(await opened.enter_async_context(session)))
        running = Running(stack, *customers)
        async with running.working(1):
            await running.customer.job_seconds()
        yield running

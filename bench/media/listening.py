"""What listeners to jobs' events cost, and how soon they know of a change."""

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median

import psycopg

from bench import process
from bench.media.figures import Figure, Part, Plan
from bench.media.running import AT_ONCE, QUICK, Costs, Running
from dev.errors import CannotStart

CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
BEGIN = "UPDATE media_jobs SET state = 'running', started_at = now() WHERE id = ANY(%s::uuid[])"
CHANGE = "UPDATE media_jobs SET progress = %s, phase = 'running' WHERE id = %s"
CHANGE_ALL = "UPDATE media_jobs SET progress = %s WHERE id = ANY(%s::uuid[])"
UNDO = """
UPDATE media_jobs SET state = 'queued', started_at = NULL, progress = NULL, phase = NULL WHERE id = ANY(%s::uuid[])
"""
EACH = 10
"""Listeners to one job: that many browsers show it."""
FLUSHED = 1.5
"""Seconds until PostgreSQL's counters have what was done."""


@dataclass(slots=True)
class Listeners:
    running: Running
    jobs: list[str]
    opened: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    arrivals: asyncio.Queue[float] = field(default_factory=asyncio.Queue)
    """When a change of progress reached a listener."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    refused: int = 0
    """Connections that were made again."""

    async def listen(self, job: str) -> None:
        """As a browser does, it connects again when the server has no room for the moment."""
        await self.opening.acquire()
        while not await self._listened(job):
            self.refused += 1
            await asyncio.sleep(1)

    async def _listened(self, job: str) -> bool:
        async with self.running.customer.session.get(f"/api/media/jobs/{job}/events/") as answer:
            if answer.status in (429, 503):
                return False
            answer.raise_for_status()
            self.opening.release()
            async for line in answer.content:
                if line.startswith(b"event: status"):
                    self.opened.release()
                elif line.startswith(b"event: progress"):
                    self.arrivals.put_nowait(time.perf_counter())
        return True

    async def open(self, count: int) -> None:
        self.tasks = [asyncio.create_task(self.listen(self.jobs[n % len(self.jobs)])) for n in range(count)]
        opened = asyncio.ensure_future(self._opened(count))
        await asyncio.wait({opened, *self.tasks}, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
            errors = {type(task.exception()).__name__ for task in self.tasks if task.done() and not task.cancelled()}
            raise CannotStart(f"{await self.close()} of {count} streams of events did not open: {', '.join(errors)}")

    async def _opened(self, count: int) -> None:
        for _ in range(count):
            await self.opened.acquire()

    async def close(self) -> int:
        """Return how many failed."""
        for task in self.tasks:
            task.cancel()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        return sum(isinstance(end, Exception) for end in ends)


async def listened(running: Running, plan: Plan) -> list[Figure]:
    """Without a worker: nothing changes but what is changed here, in the database, as a worker would."""
    count = max(1, plan.listeners // EACH)
    jobs = await running.customer.order(count, "image", QUICK)
    await running.stack.rows(BEGIN, jobs)
    listeners = Listeners(running, jobs)
    memory, connections = process.memory(running.api), await running.stack.number(CONNECTIONS)
    began = time.perf_counter()
    await listeners.open(plan.listeners)
    figures = [
        Figure(Part.LISTEN, "listeners", [plan.listeners], 0),
        Figure(Part.LISTEN, "connections answered 429 or 503, and made again", [listeners.refused], 0),
        Figure(Part.LISTEN, "seconds to open them", [time.perf_counter() - began]),
        Figure(
            Part.LISTEN, "KiB of the API for each", [(process.memory(running.api) - memory) / plan.listeners / 1024]
        ),
        Figure(
            Part.LISTEN,
            "connections to PostgreSQL for all of them",
            [await running.stack.number(CONNECTIONS) - connections],
            0,
        ),
        *await _silent(running, plan),
        *await _delivered(running, listeners, plan),
    ]
    figures.append(Figure(Part.LISTEN, "listeners that failed", [await listeners.close()], 0))
    await running.stack.rows(UNDO, jobs)
    return figures


async def _silent(running: Running, plan: Plan) -> list[Figure]:
    """While nothing happens."""
    await asyncio.sleep(FLUSHED)
    commits, costs = await running.stack.number(COMMITS), Costs.began(running.servers)
    await asyncio.sleep(plan.seconds / 4)
    cores = {name: spent / (plan.seconds / 4) for name, spent in costs.spent().items()}
    commits = await running.stack.number(COMMITS) - commits
    return [
        Figure(Part.LISTEN, "cores of the API while nothing changes", [cores["API"]], 3),
        Figure(Part.LISTEN, "transactions a second then", [commits / plan.seconds * 4], 2),
    ]


async def _delivered(running: Running, listeners: Listeners, plan: Plan) -> list[Figure]:
    """From a change's commit to its last listener, beside a plain LISTEN that has nothing else to do."""
    each = plan.listeners // len(listeners.jobs)
    delivered: list[float] = []
    ratios: list[float] = []
    async with (
        await psycopg.AsyncConnection.connect(running.stack.postgres.url, autocommit=True) as changing,
        await psycopg.AsyncConnection.connect(running.stack.postgres.url, autocommit=True) as plain,
    ):
        await plain.execute("LISTEN yout_jobs")
        for turn in range(plan.rounds):
            pairs = []
            for number in range(plan.changes):
                job = listeners.jobs[number % len(listeners.jobs)]
                notified = asyncio.create_task(_notified(plain))
                began = time.perf_counter()
                await changing.execute(CHANGE, ((turn * plan.changes + number) % 50, job))
                last = max([await listeners.arrivals.get() for _ in range(each)])
                pairs.append((last - began, await notified - began))
            delivered.append(1000 * median(ours for ours, _ in pairs))
            ratios.append(median(ours / least for ours, least in pairs))
    return [
        Figure(Part.LISTEN, f"ms from a change to the last of its {each} listeners", delivered),
        Figure(Part.LISTEN, "the same, times a plain LISTEN", ratios, 2),
        *await _at_once(running, listeners, plan, each),
    ]


async def _notified(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> float:
    async for _ in connection.notifies(stop_after=1):
        pass
    return time.perf_counter()


async def _at_once(running: Running, listeners: Listeners, plan: Plan, each: int) -> list[Figure]:
    """All jobs change in one transaction."""
    every: list[float] = []
    commits: list[float] = []
    for turn in range(plan.rounds):
        await asyncio.sleep(FLUSHED)
        before = await running.stack.number(COMMITS)
        began = time.perf_counter()
        await running.stack.rows(CHANGE_ALL, 50 + turn, listeners.jobs)
        last = max([await listeners.arrivals.get() for _ in range(each * len(listeners.jobs))])
        every.append(1000 * (last - began))
        await asyncio.sleep(FLUSHED)
        ours = 2  # the change, and the counting
        commits.append((await running.stack.number(COMMITS) - before - ours) / len(listeners.jobs))
    jobs, all_of_them = len(listeners.jobs), each * len(listeners.jobs)
    return [
        Figure(Part.LISTEN, f"ms until {all_of_them:,} know of {jobs} changes at once", every),
        Figure(Part.LISTEN, "transactions for each of those changes", commits, 2),
    ]

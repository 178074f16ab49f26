"""`python -m bench.media`: what media jobs cost: to accept, to make, to wait for, and to listen to.

The vendors are the doubles of the tests, in a process of their own. There is one API process, and workers as needed.
"""

import asyncio
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import aiohttp
import orjson
import typer
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from bench import process
from bench.plan import Spread
from bench.stack import STATE
from bench.torture.stack import TortureStack

CREDITS = 10**12
AT_ONCE = 16
WAIT = 900.0
SAMPLE = 20
"""Histories that are looked at."""
QUICK = {"model": "my-toy", "prompt": "a lake"}
"""Its vendor is done at once."""
ENDLESS = {"model": "my-grok-video", "prompt": "a lake [never]"}
CHAT = {"model": "demo-chat", "messages": [{"role": "user", "content": "a lake"}], "max_tokens": 1}
ENDED = "SELECT count(*) FROM media_jobs WHERE state IN ('succeeded', 'failed', 'cancelled')"
AT_PROVIDER = "SELECT count(*) FROM media_jobs WHERE state = 'running' AND provider_job_id IS NOT NULL"
MADE = "SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM media_jobs WHERE model = 'my-toy'"
out = Console(soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Plan:
    calls: int
    jobs: int
    waiting: int
    listeners: int
    seconds: float


@dataclass(slots=True)
class Result:
    load_average: float = 0.0
    accept: Spread | None = None
    chat: Spread | None = None
    jobs_per_second: dict[int, float] = field(default_factory=dict)
    """By the number of workers."""
    waiting: dict[str, float] = field(default_factory=dict)
    listening: dict[str, float] = field(default_factory=dict)


def main(
    calls: Annotated[int, typer.Option(help="Jobs accepted, and chats beside them in turns.")] = 1000,
    jobs: Annotated[int, typer.Option(help="Made by one worker, and by two.")] = 1000,
    waiting: Annotated[int, typer.Option(help="Jobs whose vendor does not end them.")] = 5000,
    listeners: Annotated[int, typer.Option(help="Streams of events at once.")] = 1000,
    seconds: Annotated[float, typer.Option(help="To look at what waits.")] = 60.0,
) -> None:
    """Measure media jobs. The numbers are those of this machine, with its load."""
    result = asyncio.run(run(Plan(calls, jobs, waiting, listeners, seconds)))
    out.print(table(result))
    (STATE / "media.json").write_bytes(orjson.dumps(asdict(result), option=orjson.OPT_NON_STR_KEYS))


async def run(plan: Plan) -> Result:
    STATE.mkdir(parents=True, exist_ok=True)
    result = Result(load_average=round(os.getloadavg()[0], 1))
    with tempfile.TemporaryDirectory(prefix="media-", dir=STATE) as folder:
        result.accept, result.chat = await _accepted(Path(folder) / "accept", plan)
        for workers in (1, 2):
            result.jobs_per_second[workers] = await _made(Path(folder) / f"made-{workers}", plan, workers)
        await _waited(Path(folder) / "wait", plan, result)
    return result


class Running:
    """A stack with one API, and a session with the account's key."""

    def __init__(self, folder: Path, plan: Plan, workers: int) -> None:
        folder.mkdir()
        extra = {"YOUT_MAX_LISTENERS_PER_ACCOUNT": str(plan.listeners), "YOUT_MAX_LISTENERS": str(plan.listeners)}
        self.stack, self.workers = TortureStack(folder, extra), workers

    async def __aenter__(self) -> "Running":
        try:
            await self.stack.start(1, self.workers, CREDITS)
        except BaseException:
            await self.stack.stop()
            raise
        headers = {"authorization": f"Bearer {self.stack.token}"}
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(None)
        self.session = aiohttp.ClientSession(
            self.stack.apis[0].url, headers=headers, connector=connector, timeout=timeout
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.stack.stop()

    async def post(self, path: str, body: dict[str, Any]) -> tuple[float, Any]:
        """The seconds that it took, and the answer."""
        began = monotonic()
        async with self.session.post(path, json=body) as answer:
            answer.raise_for_status()
            return monotonic() - began, await answer.json()

    async def order(self, count: int, kind: str, body: dict[str, Any]) -> list[str]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one() -> str:
            async with places:
                _, job = await self.post(f"/api/media/{kind}/", body)
                return str(job["job_uuid"])

        return await asyncio.gather(*(one() for _ in range(count)))

    async def until(self, query: str, count: int) -> float:
        """Seconds until it counts so many."""
        began = monotonic()
        while await self.stack.number(query) < count:
            if monotonic() - began > WAIT:
                raise TimeoutError(query)
            await asyncio.sleep(0.5)
        return monotonic() - began


async def _accepted(folder: Path, plan: Plan) -> tuple[Spread, Spread]:
    """Without a worker, so that accepting is measured alone. A job and a chat take turns: both have the same load."""
    jobs, chats = [], []
    async with Running(folder, plan, workers=0) as running:
        for _ in range(plan.calls):
            jobs.append((await running.post("/api/media/image/", QUICK))[0])
            chats.append((await running.post("/v1/chat/completions", CHAT))[0])
    return Spread.of(jobs), Spread.of(chats)


async def _made(folder: Path, plan: Plan, workers: int) -> float:
    """Jobs a second, from the first that begins to the last that ends. All of them wait when the workers come."""
    async with Running(folder, plan, workers=0) as running:
        await running.order(plan.jobs, "image", QUICK)
        for _ in range(workers):
            await running.stack.add_worker()
        await running.until(ENDED, plan.jobs)
        ((seconds,),) = await running.stack.rows(MADE)
    return round(plan.jobs / float(seconds), 1)


async def _waited(folder: Path, plan: Plan, result: Result) -> None:
    async with Running(folder, plan, workers=1) as running:
        (worker,) = running.stack.workers
        await running.order(1, "video", ENDLESS)
        await running.until(AT_PROVIDER, 1)  # it has imported all by then
        before = process.memory(worker.pid)
        jobs = await running.order(plan.waiting, "video", ENDLESS)
        reached = await running.until(AT_PROVIDER, plan.waiting + 1)
        events = await _events(running, jobs)
        cpu = process.cpu_seconds(worker.pid)
        await asyncio.sleep(plan.seconds)
        minutes = plan.seconds / 60
        result.waiting = {
            "jobs": plan.waiting,
            "seconds until all were at the vendor": round(reached, 1),
            "KiB of the worker for each": round((process.memory(worker.pid) - before) / plan.waiting / 1024, 1),
            "history events of each": events,
            "events of each a minute": round((await _events(running, jobs) - events) / minutes, 1),
            "ms CPU of the worker for each a minute": round(
                (process.cpu_seconds(worker.pid) - cpu) / plan.waiting / minutes * 1000, 2
            ),
        }
        result.listening = await _listened(running, plan, jobs)


async def _events(running: Running, jobs: list[str]) -> float:
    client = await Client.connect(running.stack.temporal.address)
    ids = [f"media-{job}" for job in jobs[:SAMPLE]]
    lengths = [(await client.get_workflow_handle(id_).describe()).history_length for id_ in ids]
    return round(sum(lengths) / len(lengths), 1)


async def _listened(running: Running, plan: Plan, jobs: list[str]) -> dict[str, float]:
    """All listen to one job of their own, or share it. Then one job is cancelled: how long until its listener knows."""
    api = running.stack.apis[0]
    before, opened, ended = process.memory(api.pid), asyncio.Semaphore(0), asyncio.Event()

    async def listen(job: str) -> None:
        async with running.session.get(f"/api/media/jobs/{job}/events/") as answer:
            answer.raise_for_status()
            opened.release()
            async for line in answer.content:
                if line.startswith(b"event: done") and job == jobs[0]:
                    ended.set()

    listening = [asyncio.create_task(listen(jobs[n % len(jobs)])) for n in range(plan.listeners)]
    for _ in listening:
        await opened.acquire()
    memory = process.memory(api.pid)
    cpu = process.cpu_seconds(api.pid)
    await asyncio.sleep(plan.seconds)
    cpu = process.cpu_seconds(api.pid) - cpu
    began = monotonic()
    await running.post(f"/api/media/jobs/{jobs[0]}/cancel/", {})
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), WAIT)
    heard = monotonic() - began
    for task in listening:
        task.cancel()
    failed = [one for one in await asyncio.gather(*listening, return_exceptions=True) if isinstance(one, Exception)]
    return {
        "listeners": plan.listeners,
        "KiB of the API for each": round((memory - before) / plan.listeners / 1024, 1),
        "cores of the API": round(cpu / plan.seconds, 3),
        "seconds from a cancel to its event": round(heard, 2),
        "errors": len(failed),
    }


def table(result: Result) -> Table:
    shown = Table("what", "number", title=f"media, load average {result.load_average}")
    if result.accept is not None and result.chat is not None:
        for name, spread in (("accept a job", result.accept), ("a chat beside it", result.chat)):
            shown.add_row(f"{name}, ms p50 / p99", f"{spread.p50:.1f} / {spread.p99:.1f}")
        ratio = f"{result.accept.p50 / result.chat.p50:.2f} / {result.accept.p99 / result.chat.p99:.2f}"
        shown.add_row("ratio, p50 / p99", ratio)
    for workers, rate in result.jobs_per_second.items():
        shown.add_row(f"jobs a second, workers: {workers}", str(rate))
    for what, number in (*result.waiting.items(), *result.listening.items()):
        shown.add_row(what, f"{number:g}")
    return shown


if __name__ == "__main__":
    typer.run(main)

"""What a job costs while its vendor works on it, and what many of them do to others."""

import asyncio
import time
from datetime import UTC, datetime

from temporalio.client import Client

from bench import process
from bench.media.accepting import Times, compared
from bench.media.figures import Figure, Part, Plan
from bench.media.running import ENDLESS, Costs, Running

SAMPLE = 20
"""Histories that are looked at."""
SOME = "SELECT id FROM media_jobs WHERE state = 'running' AND provider_job_id IS NOT NULL ORDER BY random() LIMIT %s"
AT_PROVIDER = """
SELECT count(*) FROM media_jobs WHERE state = 'running' AND provider_job_id IS NOT NULL AND created_at >= %s
"""
"""Of this part: those that other parts have left may end meanwhile."""
BEGINNING = """
SELECT count(*) FROM media_jobs WHERE state IN ('queued', 'running') AND provider_job_id IS NULL
"""
STORED = (
    ("KiB of the worker", 1),
    ("KiB of the API", 1),
    ("rows in PostgreSQL", 1),
    ("bytes in PostgreSQL", 0),
    ("bytes in Temporal's file", 0),
)
"""Names and digits."""
SIZES = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
ALONE, BESIDE = "", ", beside those that wait"


async def waited(running: Running, plan: Plan) -> list[Figure]:
    async with running.working(1) as (worker,):
        since = datetime.now(UTC)
        await running.customer.order(1, "video", ENDLESS)
        await running.until(AT_PROVIDER, 1, since)  # all is imported by then
        alone = await _others(running, plan)
        stored = await _stored(running, worker.pid)
        began = time.perf_counter()
        jobs = len(await running.customer.order(plan.waiting, "video", ENDLESS, plan.timeout))
        ordered = time.perf_counter() - began
        at_vendor = await running.counted(AT_PROVIDER, jobs + 1, plan.timeout, since) - 1
        reached = time.perf_counter() - began
        grown = [
            (after - before) / jobs for before, after in zip(stored, await _stored(running, worker.pid), strict=True)
        ]
        figures = [
            Figure(Part.WAIT, "jobs ordered", [jobs], 0),
            Figure(Part.WAIT, "jobs at the vendor", [at_vendor], 0),
            Figure(Part.WAIT, "jobs accepted a second, with a worker beside", [jobs / ordered]),
            Figure(Part.WAIT, "jobs a second that reach the vendor", [at_vendor / reached]),
            *(
                Figure(Part.WAIT, f"{name} for each", [each], digits)
                for (name, digits), each in zip(STORED, grown, strict=True)
            ),
            *await _while_waiting(running, plan.seconds, worker.pid, max(1, at_vendor)),
        ]
        beginning = [await running.stack.number(BEGINNING)]
        beside = await _others(running, plan)
        beginning.append(await running.stack.number(BEGINNING))
    named = (f"jobs that begin still, {when} those of another account" for when in ("before", "after"))
    figures += [Figure(Part.WAIT, name, [each], 0) for name, each in zip(named, beginning, strict=True)]
    return [*figures, *_compared(alone, beside)]


async def _while_waiting(running: Running, seconds: float, worker: int, count: int) -> list[Figure]:
    jobs = [str(job) for (job,) in await running.stack.rows(SOME, SAMPLE)]
    events, looks = await _events(running, jobs), await _looks(running)
    costs = Costs.began({"the worker": worker, **running.servers})
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    spent = costs.spent()
    minutes = (time.perf_counter() - began) / 60
    later, looks = await _events(running, jobs), await _looks(running) - looks
    return [
        Figure(Part.WAIT, "events in the history of each", [events]),
        Figure(Part.WAIT, "events of each a minute", [(later - events) / minutes]),
        Figure(Part.WAIT, "looks at the vendor for each a minute", [looks / count / minutes], 2),
        *(
            Figure(Part.WAIT, f"ms CPU of {name} for each a minute", [1000 * each / count / minutes], 2)
            for name, each in spent.items()
        ),
        Figure(Part.WAIT, "cores of all of them", [sum(spent.values()) / minutes / 60], 2),
    ]


async def _others(running: Running, plan: Plan) -> Times:
    """Another account's jobs, one after another, and chats in turns with them. Seconds by kind and round."""
    times: Times = {"a job accepted": [], "a job ended": [], "a chat": []}
    await running.other.job_seconds()
    for _ in range(plan.rounds):
        rounds: list[list[float]] = [[], [], []]
        for _ in range(max(1, plan.calls // 20)):
            accepted, ended = await running.other.job_seconds()
            for each, seconds in zip(rounds, (accepted, ended, await running.other.chat()), strict=True):
                each.append(seconds)
        for name, each in zip(times, rounds, strict=True):
            times[name].append(each)
    return times


def _compared(alone: Times, beside: Times) -> list[Figure]:
    figures = []
    for times, suffix in ((alone, ALONE), (beside, BESIDE)):
        for subject, other in (("a job accepted", "a job ended"), ("a job ended", "a job accepted")):
            pair = {name: rounds for name, rounds in times.items() if name != other}
            figures += compared(Part.WAIT, pair, subject, suffix)
    return list({figure.name: figure for figure in figures}.values())


async def _events(running: Running, jobs: list[str]) -> float:
    client = await Client.connect(running.stack.temporal.address)
    handles = [client.get_workflow_handle(f"media-{job}") for job in jobs]
    lengths = [(await handle.describe()).history_length for handle in handles]
    return sum(lengths) / len(lengths)


async def _looks(running: Running) -> int:
    """Requests for the state of a job, at all vendors."""
    return int(await running.stack.of_vendors("/reads"))


async def _stored(running: Running, worker: int) -> tuple[float, ...]:
    """What `STORED` names."""
    rows = 0
    for (table,) in await running.stack.rows(TABLES):
        rows += await running.stack.number(f'SELECT count(*) FROM "{table}"')  # noqa: S608  # a name of our own
    files = sum(file.stat().st_size for file in (running.stack.state / "temporal").glob("temporal.db*"))
    memory = [process.memory(pid) / 1024 for pid in (worker, running.api)]
    return (*memory, rows, await running.stack.number(SIZES), files)

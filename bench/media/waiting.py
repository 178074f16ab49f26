"""What a job costs while its vendor works on it, and what many of them do to others."""

import asyncio
import time

from temporalio.client import Client

from bench import process
from bench.media.accepting import Times, compared
from bench.media.figures import Figure, Part, Plan
from bench.media.running import ENDLESS, TIMEOUT, Costs, Running

SAMPLE = 20
"""Histories that are looked at."""
AT_PROVIDER = "SELECT count(*) FROM media_jobs WHERE state = 'running' AND provider_job_id IS NOT NULL"
SOME = AT_PROVIDER.replace("count(*)", "id") + " ORDER BY random() LIMIT %s"
SIZES = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
ALONE, BESIDE = "", ", beside those that wait"


async def waited(running: Running, plan: Plan) -> list[Figure]:
    async with running.working(1) as (worker,):
        await running.customer.order(1, "video", ENDLESS)
        await running.until(AT_PROVIDER, 1)  # all is imported by then
        alone = await _others(running, plan)
        rows, size = await _stored(running)
        files, memory = _bytes(running), [process.memory(pid) for pid in (worker.pid, running.api)]
        began = time.perf_counter()
        await running.customer.order(plan.waiting, "video", ENDLESS)
        ordered = time.perf_counter() - began
        at_vendor = await running.counted(AT_PROVIDER, plan.waiting + 1, TIMEOUT) - 1
        reached = time.perf_counter() - began
        grown = [process.memory(pid) - before for pid, before in zip((worker.pid, running.api), memory, strict=True)]
        more_rows, more_size = await _stored(running)
        more_files = _bytes(running)
        figures = [
            Figure(Part.WAIT, "jobs ordered", [plan.waiting], 0),
            Figure(Part.WAIT, "jobs at the vendor", [at_vendor], 0),
            Figure(Part.WAIT, "jobs accepted a second, with a worker beside", [plan.waiting / ordered]),
            Figure(Part.WAIT, "jobs a second that reach the vendor", [at_vendor / reached]),
            Figure(Part.WAIT, "KiB of the worker for each", [grown[0] / plan.waiting / 1024]),
            Figure(Part.WAIT, "KiB of the API for each", [grown[1] / plan.waiting / 1024]),
            Figure(Part.WAIT, "rows in PostgreSQL for each", [(more_rows - rows) / plan.waiting]),
            Figure(Part.WAIT, "bytes in PostgreSQL for each", [(more_size - size) / plan.waiting], 0),
            Figure(Part.WAIT, "bytes in Temporal's file for each", [(more_files - files) / plan.waiting], 0),
            *await _while_waiting(running, plan.seconds, worker.pid, at_vendor),
        ]
        beside = await _others(running, plan)
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
    await running.other.made()
    for _ in range(plan.rounds):
        rounds: list[list[float]] = [[], [], []]
        for _ in range(max(1, plan.calls // 20)):
            accepted, ended = await running.other.made()
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


async def _stored(running: Running) -> tuple[int, int]:
    """Rows and bytes in PostgreSQL, with indexes."""
    rows = 0
    for (table,) in await running.stack.rows(TABLES):
        rows += await running.stack.number(f'SELECT count(*) FROM "{table}"')  # noqa: S608  # a name of our own
    return rows, await running.stack.number(SIZES)


def _bytes(running: Running) -> int:
    folder = running.stack.state / "temporal"
    return sum(file.stat().st_size for file in folder.glob("temporal.db*"))

"""What others wait for while hundreds of an account's jobs begin."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from bench.media.accepting import Times, compared
from bench.media.figures import Figure, Part, Plan
from bench.media.running import ENDLESS, OPEN, QUICK, Costs, Running

LEFT = """
SELECT count(*) FROM media_jobs
WHERE id = ANY(%s::uuid[]) AND state IN ('queued', 'running') AND provider_job_id IS NULL
"""
LEFT_OF_ALL = f"{OPEN} AND provider_job_id IS NULL"
ACCEPTED, ENDED, CHAT = "another's job accepted", "another's job ended", "a chat"


@dataclass(frozen=True, slots=True)
class Flood:
    name: str
    kind: str
    body: dict[str, Any]


FLOODS = (Flood("videos", "video", ENDLESS), Flood("images", "image", QUICK))
"""In another queue than the jobs of the other account, and in the same."""


async def begun(running: Running, plan: Plan) -> list[Figure]:
    """One worker. The other account orders one job after another while those of the flood begin."""
    figures: list[Figure] = []
    async with running.working(1) as (worker,):
        await running.until(LEFT_OF_ALL, 0)  # what other parts left
        for flood in FLOODS:
            await running.customer.order(1, flood.kind, flood.body)
        await running.other.job_seconds()
        alone = await _others(running, asyncio.Event(), max(1, plan.calls // 5))
        figures += _figures(alone, ", alone")
        for flood in FLOODS:
            figures += await _flooded(running, plan, flood, {"the worker": worker.pid, **running.servers})
    return list({figure.name: figure for figure in figures}.values())


async def _flooded(running: Running, plan: Plan, flood: Flood, pids: dict[str, int]) -> list[Figure]:
    suffix, over = f", beside {flood.name}", asyncio.Event()
    costs, began = Costs.began(pids), time.perf_counter()
    others = asyncio.create_task(_others(running, over))
    jobs = await running.customer.order(plan.jobs, flood.kind, flood.body)
    done = max(1, len(jobs) - await running.counted(LEFT, 0, plan.timeout, jobs))
    seconds, spent = time.perf_counter() - began, costs.spent()
    over.set()
    times = await others
    return [
        Figure(Part.BEGIN, f"{flood.name} that begin", [done], 0),
        Figure(Part.BEGIN, f"{flood.name} that begin, a second", [done / seconds]),
        *(
            Figure(Part.BEGIN, f"ms CPU of {name} for one of them", [1000 * each / done])
            for name, each in spent.items()
        ),
        *_figures(times, suffix),
    ]


async def _others(running: Running, over: asyncio.Event, count: int = 10**6) -> Times:
    """Another account's quick jobs and chats, in turns, until it is over."""
    accepted, ended, chats = list[float](), list[float](), list[float]()
    while not over.is_set() and len(chats) < count:
        times = await running.other.job_seconds()
        accepted.append(times[0])
        ended.append(times[1])
        chats.append(await running.other.chat())
    return {ACCEPTED: [accepted], ENDED: [ended], CHAT: [chats]}


def _figures(times: Times, suffix: str) -> list[Figure]:
    figures = []
    for subject in (ACCEPTED, ENDED):
        figures += compared(Part.BEGIN, {subject: times[subject], CHAT: times[CHAT]}, subject, suffix)
    return figures

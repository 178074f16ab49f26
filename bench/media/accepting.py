"""How long a job takes to be accepted: beside a chat, and beside the least that any durable acceptance does."""

import time
from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

import psycopg
from temporalio.client import Client

from bench.media.figures import Figure, Part, Plan
from bench.media.running import AT_ONCE, QUICK, Running
from bench.plan import Spread

TABLE = "CREATE TABLE IF NOT EXISTS bench_accepted (id uuid PRIMARY KEY, body text NOT NULL)"
INSERT = "INSERT INTO bench_accepted VALUES (%s, %s)"
QUEUE = "bench-nobody"
"""Nobody works on it."""
Times = dict[str, list[list[float]]]


async def accepted(running: Running, plan: Plan) -> list[Figure]:
    """Without a worker, so that acceptance is measured alone. The three take turns: all have the same load."""
    client = await Client.connect(running.stack.temporal.address)
    async with await psycopg.AsyncConnection.connect(running.stack.postgres.url, autocommit=True) as connection:
        await connection.execute(TABLE)

        async def job() -> float:
            return (await running.customer.post("/api/media/image/", QUICK))[0]

        async def least() -> float:
            began = time.perf_counter()
            identity = uuid4()
            await connection.execute(INSERT, (identity, "a lake"))
            await client.start_workflow("Accepted", id=str(identity), task_queue=QUEUE)
            return time.perf_counter() - began

        kinds = {"a job": job, "a chat": running.customer.chat, "an insert and a start": least}
        times = await in_rounds(kinds, plan)
        began = time.perf_counter()
        await running.customer.order(plan.calls, "image", QUICK)
        rate = plan.calls / (time.perf_counter() - began)
        await connection.execute("DROP TABLE bench_accepted")
    return [*compared(Part.ACCEPT, times, "a job"), Figure(Part.ACCEPT, f"jobs a second, {AT_ONCE} at once", [rate])]


async def in_rounds(kinds: Mapping[str, Callable[[], Awaitable[float]]], plan: Plan) -> Times:
    """Call each once to warm up, then in turns. Seconds by kind and round."""
    for call in kinds.values():
        await call()
    times: Times = {name: [] for name in kinds}
    for _ in range(plan.rounds):
        for of_kind in times.values():
            of_kind.append([])
        for _ in range(plan.calls):
            for name, call in kinds.items():
                times[name][-1].append(await call())
    return times


def compared(part: Part, times: Times, subject: str, suffix: str = "") -> list[Figure]:
    """Milliseconds of each kind, and the subject's ratios to the others."""
    spreads = {name: [Spread.of(one) for one in rounds] for name, rounds in times.items()}
    figures = []
    for name, rounds in spreads.items():
        figures.append(Figure(part, f"{name}{suffix}, p50 ms", [one.p50 for one in rounds]))
        figures.append(Figure(part, f"{name}{suffix}, p99 ms", [one.p99 for one in rounds]))
    for name, rounds in spreads.items():
        if name != subject:
            pairs = list(zip(spreads[subject], rounds, strict=True))
            ratio = f"{subject}{suffix}, times {name}"
            figures.append(Figure(part, f"{ratio}, p50", [ours.p50 / other.p50 for ours, other in pairs], 2))
            figures.append(Figure(part, f"{ratio}, p99", [ours.p99 / other.p99 for ours, other in pairs], 2))
    return figures

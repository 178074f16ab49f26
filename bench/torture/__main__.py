"""`python -m bench.torture`: media jobs at every vendor while parts of the stack are killed and paused.

Exit 1 with each fault named; a table of the checks, and the same as JSON.
"""

import asyncio
import secrets
import shutil
import string
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated
from uuid import UUID

import aiohttp
import orjson
import psycopg
import typer
from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.service import RPCError

from bench.stack import STATE
from bench.torture.checks import Check, Proof
from bench.torture.nemesis import Nemesis
from bench.torture.orders import Customer, Ordered, picture, quick, script
from bench.torture.stack import TortureStack
from dev.errors import CannotStart
from domain.namespaces import MAINTENANCE

CREDITS = 10**9
QUIET_SECONDS = 3600.0
"""For the last jobs to end, once nothing is broken any more."""
ROUND = 5.0
AHEAD = 12
"""Jobs that are ordered before the next fault."""
SCHEDULE = "yout-maintenance"
SLOWEST = 10
OPEN = {
    "jobs": "SELECT count(*) FROM media_jobs WHERE state IN ('queued', 'running')",
    "webhooks": "SELECT count(*) FROM webhook_deliveries WHERE state IN ('waiting', 'pending')",
}
out = Console(soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int = 1
    jobs: int = 1000
    kills: int = 200
    folder: Path = STATE
    keep: bool = False
    apis: int = 2
    seconds: float = 3600.0
    """Then no part is broken any more, and no job ordered."""
    at_once: int = 2
    """Parts that are broken at the same time."""
    quick: bool = False
    """Without jobs that take minutes to end."""


@dataclass(slots=True)
class Report:
    plan: Plan
    checks: list[Check]
    faults: Counter[str]
    states: Counter[tuple[str, str]]
    """By provider and state of the job."""
    slowest: list[tuple[float, str]]
    """Seconds from acceptance to end, and the job."""

    @property
    def violations(self) -> list[str]:
        return [f"{check.name}: {fault}" for check in self.checks for fault in check.faults]


BEGAN = monotonic()


def say(line: str) -> None:
    out.print(f"{monotonic() - BEGAN:5.0f} s  {line}", highlight=False, markup=False)


def main(
    seed: Annotated[int, typer.Option(help="The same jobs and faults for the same seed.")] = 1,
    jobs: Annotated[int, typer.Option(help="Media jobs over all vendors.")] = 1000,
    kills: Annotated[int, typer.Option(help="Parts killed or paused meanwhile.")] = 200,
    minutes: Annotated[float, typer.Option(help="After that, no more of either.")] = 60,
    keep: Annotated[bool, typer.Option(help="Keep the state folder, to look into it.")] = False,
) -> None:
    """Break it under media jobs, then prove what must be true of each. Exit 1: it is not."""
    try:
        report = asyncio.run(run(Plan(seed, jobs, kills, keep=keep, seconds=60 * minutes)))
    except CannotStart as problem:
        say(f"error: {problem}")
        raise typer.Exit(2) from None
    for table in tables(report):
        out.print(table)
    for violation in report.violations:
        say(f"violation: {violation}")
    say(f"seed {seed}: {len(report.violations)} violations")
    raise typer.Exit(1 if report.violations else 0)


async def run(plan: Plan) -> Report:
    plan.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=plan.folder))
    async with AsyncExitStack() as ending:
        if plan.keep:
            say(f"state: {folder}")
        else:
            ending.callback(shutil.rmtree, folder, ignore_errors=True)
        stack = TortureStack(folder)
        ending.push_async_callback(stack.stop)
        await stack.start(plan.apis, 2, CREDITS)
        offered = await stack.of_vendors()
        canary = "".join(secrets.choice(string.ascii_lowercase) for _ in range(24))
        offers = quick(offered["offers"]) if plan.quick else offered["offers"]
        orders = script(plan.seed, plan.jobs, offers, canary)
        nemesis = Nemesis(stack, plan.seed, say)
        await _under_fire(stack, plan, orders, nemesis, picture(canary))
        orders = [order for order in orders if order.answers]
        await _quiet(stack)
        proof = Proof(stack, orders, CREDITS, canary, frozenset(offered["files"]))
        say("proving")
        checks = await proof.run()
        report = Report(plan, checks, nemesis.done, _states(orders, proof), _slowest(orders, proof))
        (plan.folder / "torture.json").write_bytes(orjson.dumps(as_json(report)))
        return report


async def _under_fire(stack: TortureStack, plan: Plan, orders: list[Ordered], nemesis: Nemesis, file: bytes) -> None:
    def may_begin(number: int) -> bool:
        return nemesis.count >= plan.kills or number <= AHEAD + nemesis.count * plan.jobs // plan.kills

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        customer = Customer(stack, orders, plan.seed, session, file)
        group.create_task(customer.run(may_begin))
        customer.leaves = not await nemesis.run(plan.kills, plan.at_once, plan.seconds)


async def _quiet(stack: TortureStack) -> None:
    """Until no job is open and no webhook under way. Rounds of maintenance come every few seconds, not every minute."""
    clock = asyncio.get_running_loop().time
    deadline, next_round, shown = clock() + QUIET_SECONDS, clock(), ""
    while clock() < deadline:
        with suppress(psycopg.OperationalError):
            left = {what: await stack.number(query) for what, query in OPEN.items()}
            if not any(left.values()):
                return
            if (line := ", ".join(f"{count} {what}" for what, count in left.items())) != shown:
                say(f"  open: {line}")
                shown = line
        if clock() >= next_round:
            await _maintained(stack)
            next_round = clock() + ROUND
        await asyncio.sleep(0.3)


async def _maintained(stack: TortureStack) -> None:
    with suppress(RPCError, RuntimeError):
        client = await Client.connect(stack.temporal.address, namespace=MAINTENANCE)
        await client.get_schedule_handle(SCHEDULE).trigger()


def _states(orders: list[Ordered], proof: Proof) -> Counter[tuple[str, str]]:
    return Counter(
        (order.offer["provider"], job["state"])
        for order in orders
        if order.job is not None and (job := proof.jobs.get(UUID(order.job))) is not None
    )


def _slowest(orders: list[Ordered], proof: Proof) -> list[tuple[float, str]]:
    jobs = [(order, proof.jobs[UUID(order.job)]) for order in orders if order.job and UUID(order.job) in proof.jobs]
    times = [
        (
            (job["finished_at"] - job["created_at"]).total_seconds(),
            f"{order.name}, {order.fault or 'well'}: {job['state']}",
        )
        for order, job in jobs
        if job["finished_at"] is not None
    ]
    return sorted(times, reverse=True)[:SLOWEST]


def as_json(report: Report) -> dict[str, object]:
    return {
        "seed": report.plan.seed,
        "jobs": report.plan.jobs,
        "faults": dict(report.faults),
        "ends": {f"{provider} {state}": count for (provider, state), count in sorted(report.states.items())},
        "slowest": report.slowest,
        "checks": [asdict(check) for check in report.checks],
        "violations": report.violations,
    }


def tables(report: Report) -> list[Table]:
    checks = Table("check", "looked at", "faults", title=f"{report.plan.jobs} jobs, {report.faults.total()} faults")
    for check in report.checks:
        checks.add_row(check.name, str(check.looked_at), str(len(check.faults)))
    broken = Table("fault", "times")
    for fault, count in sorted(report.faults.items()):
        broken.add_row(fault, str(count))
    ends = Table("provider", "succeeded", "failed", "cancelled")
    for provider in sorted({provider for provider, _ in report.states}):
        ends.add_row(provider, *(str(report.states[provider, state]) for state in ("succeeded", "failed", "cancelled")))
    slow = Table("slowest jobs", "seconds")
    for seconds, name in report.slowest:
        slow.add_row(name, f"{seconds:.0f}")
    return [broken, ends, slow, checks]


if __name__ == "__main__":
    typer.run(main)

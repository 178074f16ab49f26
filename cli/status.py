"""`yout status` and `yout top`: how everything stands, on one screen; once, or again and again."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from cli.database import database_fault, open_database, run, settings
from cli.terminal import as_json, fail, on_screen, print_json
from exits import CANNOT_RUN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from temporalio.client import Client

    from db.engine import Database
    from db.holds import Figures
    from db.media_figures import OpenJobs, Overdue
    from db.operator_figures import AccountFigures, DeliveryFigures, RecentJobs
    from db.tables import AuditRow
    from domain.faults import Fault
    from domain.task_queues import Backlog
    from settings import Settings
    from temporal.rounds import LastRound


@dataclass(frozen=True, slots=True, repr=False)
class Stored:
    """What PostgreSQL has."""

    accounts: "AccountFigures"
    holds: "Figures"
    audit: "AuditRow | None"
    open_jobs: "Sequence[OpenJobs]"
    recent_jobs: "RecentJobs"
    overdue: "Overdue"
    deliveries: "DeliveryFigures"
    faults: "Sequence[Fault]" = ()
    """What workers report."""


@dataclass(frozen=True, slots=True, repr=False)
class Standing:
    at: datetime
    stored: "Stored | Fault"
    """A fault: the database cannot be read."""
    backlogs: "Sequence[Backlog] | None"
    """None: Temporal does not answer. So are `rounds`."""
    rounds: "Sequence[LastRound] | None"


@click.command()
@as_json
def status(as_json: bool) -> None:
    """Accounts, holds, drift, jobs, queues, deliveries and the last rounds of maintenance, on one screen.

    Of a part that is away, it says so, and shows the others. Exit code 2: the database cannot be read.
    """
    _print_once(as_json=as_json)


def _print_once(*, as_json: bool) -> None:
    from cli import status_screen

    standing = run(_once())
    if as_json:
        print_json(status_screen.document(standing))
    else:
        status_screen.show(standing)
    if not isinstance(standing.stored, Stored):
        fail(str(standing.stored), CANNOT_RUN)


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    show_default=True,
    help="Seconds from one reading to the next.",
)
@click.option("--once", is_flag=True, help="Print it once, and end.")
@as_json
def top(every: float, once: bool, as_json: bool) -> None:
    """The same as `yout status`, live. Ctrl+C ends it. With --json, once."""
    from cli import status_screen

    if once or as_json:
        _print_once(as_json=as_json)
        return
    if not on_screen():
        fail("`yout top` needs a terminal: use --once, or `yout status`", CANNOT_RUN)
    with suppress(KeyboardInterrupt), status_screen.live() as update:
        run(_for_ever(update, timedelta(seconds=every)), quiet=False)


async def _once() -> Standing:
    async with _reader() as read:
        return await read()


async def _for_ever(update: "Callable[[Standing], None]", every: timedelta) -> None:
    async with _reader() as read:
        while True:
            update(await read())
            await asyncio.sleep(every.total_seconds())


@asynccontextmanager
async def _reader() -> "AsyncGenerator[Callable[[], Awaitable[Standing]]]":
    from cli import temporal_clients

    ours, database = settings(), open_database()
    try:
        async with temporal_clients.opened(ours, lazy=True) as clients:
            yield lambda: _read(database, clients, ours)
    finally:
        await database.close()


async def _read(database: "Database", clients: "tuple[Client, Client]", ours: "Settings") -> Standing:
    from temporal import rounds
    from temporal.backlogs import Backlogs
    from workflows import audit, grants, maintenance
    from workflows.options import MAINTENANCE, QUEUES

    jobs, upkeep = clients
    stored, backlogs, begun = await asyncio.gather(
        _stored(database),
        Backlogs(jobs, QUEUES, {MAINTENANCE: ours.maintenance_namespace}).read(),
        rounds.read(upkeep, jobs, (maintenance.SCHEDULE_ID, audit.SCHEDULE_ID, grants.SCHEDULE_ID)),
    )
    return Standing(datetime.now(UTC), stored, backlogs, begun)


async def _stored(database: "Database") -> "Stored | Fault":
    from db import holds, media_figures, operator_figures, worker_faults
    from db.audit import latest
    from domain.errors import ServiceUnavailable

    try:
        async with database.snapshot() as session:
            return Stored(
                await operator_figures.accounts(session),
                await holds.figures(session),
                await latest(session),
                await media_figures.open_jobs(session),
                await operator_figures.recent_jobs(session),
                await media_figures.overdue(session),
                await operator_figures.deliveries(session),
                await worker_faults.showing(session),
            )
    except ServiceUnavailable:
        return await asyncio.to_thread(database_fault)

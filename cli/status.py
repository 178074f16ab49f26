"""`yout status` and `yout top`: how everything stands, on one screen; once, or again and again."""

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from cli.database import open_database, run, settings
from cli.terminal import as_json, fail, print_json
from exits import CANNOT_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
class Standing:
    at: datetime
    accounts: "AccountFigures"
    holds: "Figures"
    audit: "AuditRow | None"
    open_jobs: "Sequence[OpenJobs]"
    recent_jobs: "RecentJobs"
    overdue: "Overdue"
    deliveries: "DeliveryFigures"
    backlogs: "Sequence[Backlog] | None"
    """None: Temporal does not answer. So are `rounds`."""
    rounds: "Sequence[LastRound] | None"
    faults: "Sequence[Fault]" = ()
    """What workers report."""


@click.command()
@as_json
def status(as_json: bool) -> None:
    """Accounts, holds, drift, jobs, queues, deliveries and the last rounds of maintenance, on one screen."""
    _print_once(as_json=as_json)


def _print_once(*, as_json: bool) -> None:
    from cli import status_screen

    standing = run(_once())
    if as_json:
        print_json(status_screen.document(standing))
    else:
        status_screen.show(standing)


@click.command()
@click.option("--every", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Print it once, and end.")
@as_json
def top(every: float, once: bool, as_json: bool) -> None:
    """The same as `yout status`, live. Ctrl+C ends it. With --json, once."""
    from cli import status_screen

    if once or as_json:
        _print_once(as_json=as_json)
        return
    if not sys.stdout.isatty():
        fail("`yout top` needs a terminal: use --once, or `yout status`", CANNOT_RUN)
    with status_screen.live() as update:
        run(_for_ever(update, timedelta(seconds=every)), quiet=False)


async def _once() -> Standing:
    from cli import temporal_clients

    ours, database = settings(), open_database()
    try:
        async with database.reading():  # before anything waits for Temporal
            pass
        async with temporal_clients.opened(ours, lazy=True) as clients:
            return await _read(database, clients, ours)
    finally:
        await database.close()


async def _for_ever(update: "Callable[[Standing | None], None]", every: timedelta) -> None:
    from cli import temporal_clients
    from domain.errors import ServiceUnavailable

    ours, database = settings(), open_database()
    try:
        async with temporal_clients.opened(ours, lazy=True) as clients:
            while True:
                try:
                    update(await _read(database, clients, ours))
                except ServiceUnavailable:  # it may come back
                    update(None)
                await asyncio.sleep(every.total_seconds())
    finally:
        await database.close()


async def _read(database: "Database", clients: "tuple[Client, Client]", ours: "Settings") -> Standing:
    from db import holds, media_figures, operator_figures, worker_faults
    from db.audit import latest
    from temporal import rounds
    from temporal.backlogs import Backlogs
    from workflows import audit, grants, maintenance
    from workflows.options import MAINTENANCE, QUEUES

    jobs, upkeep = clients
    async with database.snapshot() as session:
        figures = await operator_figures.accounts(session)
        held, last = await holds.figures(session), await latest(session)
        opened, overdue = await media_figures.open_jobs(session), await media_figures.overdue(session)
        recent, waiting = await operator_figures.recent_jobs(session), await operator_figures.deliveries(session)
        faults = await worker_faults.showing(session)
    backlogs, begun = await asyncio.gather(
        Backlogs(jobs, QUEUES, {MAINTENANCE: ours.maintenance_namespace}).read(),
        rounds.read(upkeep, jobs, (maintenance.SCHEDULE_ID, audit.SCHEDULE_ID, grants.SCHEDULE_ID)),
    )
    now = datetime.now(UTC)
    return Standing(now, figures, held, last, opened, recent, overdue, waiting, backlogs, begun, faults)

"""`yout jobs`: media jobs of all accounts, for their operator."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from cli.credits import reason, refund
from cli.database import account_id, open_database, reading, run, settings
from cli.groups import Group
from cli.temporal_clients import THREADS_END
from cli.terminal import as_json, fail, limit, print_json, print_table, say
from domain.counts import counted
from exits import CANNOT_RUN

if TYPE_CHECKING:
    from db.media import MediaJobs
    from domain.media import Job
    from workflows.operations import Operations

STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
KINDS = ("image", "video", "speech", "transcription")
Value = TypeVar("Value")

job_id = click.argument("job", type=click.UUID)


@click.group(cls=Group)
def jobs() -> None:
    """Media jobs."""


@jobs.command("list")
@click.option("--account", help="Of this account alone: its id, or its owner's e-mail.")
@click.option("--status", type=click.Choice(STATUSES))
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--model", help="Of this model alone.")
@limit
@as_json
def jobs_list(account: str | None, limit: int, as_json: bool, **filters: str | None) -> None:
    """Jobs, the newest first."""
    from db import media_lists
    from domain.media import Kind, State

    status, kind = filters["status"], filters["kind"]
    wanted = media_lists.JobFilter(State(status) if status else None, Kind(kind) if kind else None, filters["model"])
    owner = account_id(account) if account is not None else None
    rows = [_listed(job) for job in reading(lambda session: media_lists.every(session, owner, wanted, limit))]
    if as_json:
        print_json(rows)
        return
    heads = ("job", "account", "kind", "model", "provider", "status", "phase", "%", "credits", "created")
    numbers = ("%", "credits")
    print_table(heads, [_cells(row) for row in rows], numbers=numbers)


@jobs.command("show")
@job_id
@as_json
def jobs_show(job: UUID, as_json: bool) -> None:
    """One job, and how its workflow fares."""

    async def work(stored: "MediaJobs", temporal: "Operations") -> dict[str, Any]:
        row = await stored.load(job)
        error = {"error_message": row.error and row.error.message, "request_id": row.request_id}
        return _listed(row) | error | {"workflow": (await temporal.standing(job)).value}

    shown = _with_temporal(work)
    if as_json:
        print_json(shown)
        return
    width = max(map(len, shown))
    for name, value in shown.items():
        say(f"{name:<{width}}  {_cell(value)}")


@jobs.command("cancel")
@job_id
@as_json
def jobs_cancel(job: UUID, as_json: bool) -> None:
    """Cancel a job for its owner: its provider decides what becomes of it. Safe to repeat."""

    async def work(stored: "MediaJobs", temporal: "Operations") -> tuple["Job", bool]:
        from gateway.job_cancellations import JobCancellations

        sent = False

        async def send(job_id: UUID) -> bool:
            nonlocal sent
            sent = await temporal.cancel(job_id)
            return sent

        owner = (await stored.load(job)).account_id
        return await JobCancellations(stored, send).request(owner, job), sent

    after, sent = _with_temporal(work)
    if as_json:
        print_json(_listed(after) | {"workflow_asked": sent})
    elif after.state.terminal:
        say(f"{after.state.value}; {counted(after.credits_refunded, 'credit')} went back")
    elif sent:
        say("its workflow was asked: the provider decides")
    else:
        say("recorded: maintenance asks its workflow, which is away or not open")


@jobs.command("retry")
@job_id
@as_json
def jobs_retry(job: UUID, as_json: bool) -> None:
    """Get a job going whose workflow is lost or waits: start it again, or have its next attempt begin now.

    Nothing is submitted twice. A job that has ended never changes: order it again.
    """

    async def work(stored: "MediaJobs", temporal: "Operations") -> str:
        row = await stored.load(job)
        if row.state.terminal:
            fail(f"The job has ended ({row.state.value}), and an ended job never changes. Order it again.")
        return (await temporal.retry(row)).value

    did = _with_temporal(work)
    if as_json:
        print_json({"job_uuid": job, "did": did})
        return
    say(did)


@jobs.command("refund")
@job_id
@reason
@as_json
@click.pass_context
def jobs_refund(context: click.Context, job: UUID, reason: str, as_json: bool) -> None:
    """Give back, once, what a job was charged. Its outputs stay until they expire."""
    context.invoke(refund, charge=str(job), reason=reason, as_json=as_json)


def _with_temporal(work: "Callable[[MediaJobs, Operations], Awaitable[Value]]") -> Value:
    """Run the work with the stored jobs, and with Temporal, which may be away."""

    async def running() -> Value:
        from db.data_keys import Sealing
        from db.media import MediaJobs
        from domain.errors import ServiceUnavailable
        from domain.secrets import Purpose
        from temporal.client import Address
        from temporal.codec import Keyring
        from workflows.operations import Operations

        chosen = settings()
        address = Address(*chosen.temporal_server)
        keyring = Keyring.of(chosen.secrets.derive(Purpose.TEMPORAL_PAYLOADS))
        database = open_database()
        stored = MediaJobs(database, Sealing(chosen.wrapping), output_lifetime=chosen.output_lifetime)
        operations = await Operations.of(address, keyring)
        try:
            return await work(stored, operations)
        except ServiceUnavailable:
            async with database.reading():  # if it is the database, this raises, and `run` says what is wrong there
                pass
            if (outage := await operations.away(address)) is not None:
                fail(str(outage), CANNOT_RUN)
            raise
        finally:
            await database.close()
            await asyncio.sleep(THREADS_END)

    return run(running())


def _listed(job: "Job") -> dict[str, Any]:
    return {
        "job_uuid": job.id,
        "account_id": job.account_id,
        "kind": job.kind.value,
        "model": job.model,
        "provider": job.provider,
        "status": job.state.value,
        "phase": job.phase.value if job.phase else None,
        "progress": job.progress,
        "credits_cost": job.credits_cost,
        "credits_refunded": job.credits_refunded,
        "error": job.error.code if job.error else None,
        "outputs": len(job.outputs),
        "submitted": job.provider_job_id is not None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "deadline": job.deadline,
        "expires_at": job.expires_at,
        "cancel_requested_at": job.cancel_requested_at,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    names = ("job_uuid", "account_id", "kind", "model", "provider", "status", "phase", "progress", "credits_cost")
    return (*(_cell(row[name]) for name in names), str(row["created_at"])[:19])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

"""A purge's steps in the database, one by one, without its workflow."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from db import purge_receipts, purges
from db.data_keys import provision
from db.engine import Database
from domain.media import Job, JobError, State
from gateway.erasure_steps import ErasureSteps
from storage.objects import ObjectStorage
from tests.support.bank import WRAPPING, Customer


async def begin(database: Database, customer: Customer, *, part: str = "") -> UUID:
    purge_id = uuid.uuid4()
    async with database.transaction() as session:
        values = {"id": purge_id, "account": customer.account_id, "part": part}
        begun = text("SELECT begin_purge(:id, :account, :part, :part, false)")
        epoch = (await (await session.connection()).execute(begun, values)).scalar_one()
        if not part:
            await provision(session, WRAPPING, customer.account_id, epoch)
    return purge_id


async def do(database: Database, statement: str, **values: object) -> object:
    async with database.transaction() as session:
        return (await (await session.connection()).execute(text(statement), values)).scalar_one()


async def roll_up(database: Database, purge_id: UUID) -> None:
    """All that has to go before a receipt can be signed."""
    for statement in ("shred_keys(:purge)", "hash_references(:purge)", "erase_rows(:purge, 'usage_days', 99)"):
        await do(database, f"SELECT {statement}", purge=purge_id)  # our own text
    while await do(database, "SELECT roll_up(:purge, 99)", purge=purge_id) is not None:
        pass


async def complete(database: Database, purge_id: UUID) -> None:
    async with database.transaction() as session:
        key = await purge_receipts.signing_key(session, WRAPPING)
        await purge_receipts.append(session, key, purge_id, {"purge_id": str(purge_id)})
        await purges.complete(session, await purges.find(session, purge_id), datetime.now(UTC))


class NoJobs:
    """The workflows and the ending of jobs, where an account has none."""

    async def cancel(self, job_id: UUID) -> bool:
        raise AssertionError(job_id)

    async def terminate(self, job_id: UUID) -> None:
        raise AssertionError(job_id)

    async def end(self, job_id: UUID, state: State, error: JobError | None) -> Job:
        raise AssertionError(job_id)

    async def delete(self, workflow_ids: Sequence[str]) -> int:
        return 0

    async def jobs_of(self, account_id: UUID) -> list[UUID]:
        return []

    async def running_jobs_of(self, account_id: UUID) -> list[UUID]:
        return []

    async def deliveries_of(self, account_id: UUID) -> list[str]:
        return []

    async def existing(self, workflow_ids: Sequence[str]) -> list[str]:
        return []

    async def running(self, workflow_ids: Sequence[str]) -> list[str]:
        return []


def steps(database: Database, folder: Path) -> ErasureSteps:
    """The steps themselves, for accounts without jobs."""
    return ErasureSteps(database, WRAPPING, ObjectStorage.from_url(folder.as_uri()), NoJobs(), NoJobs())

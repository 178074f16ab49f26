"""What a purge does, step by step. Each step is safe to do twice, to do late, and to be killed in.

The order is that of `workflows/purge.py`: end what runs, count, destroy the keys, delete objects and histories, rows,
roll up the ledger, count again, sign a receipt.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from db import deliveries, erasure, ledger, purge_receipts, purges, webhooks
from db import sessions as stored_sessions
from db.engine import Database, Session, raw
from db.erasure import RETAINED
from db.purge_tables import PurgeRow
from domain.errors import ServiceUnavailable
from domain.ids import delivery_of_workflow, delivery_workflow_id, purge_workflow_id, workflow_id
from domain.media import Job, JobError, OutputFolder, State
from domain.operations import Sweep
from domain.purge_receipts import exact
from domain.sealing import Wrapping
from domain.webhooks import EventType
from storage.base import Storage

CALL_GRACE = timedelta(seconds=5)
"""Streams end themselves within a second or two, and are charged for what they delivered."""
JOB_GRACE = timedelta(seconds=60)
"""Providers get a request to stop their jobs, and to delete what they made. After this the workflows are terminated."""
PAGE = 50
BATCH = 2000
MAX_STEP_SECONDS = 20.0
"""An activity ends after this, and the workflow asks for the next one."""
LISTED = 1000
DELETED = 2000
"""Histories that one step deletes: it is asked for again while some are left."""
MAX_JOBS = 20_000
"""Jobs whose histories are asked for one by one. Temporal lists more."""


class Histories(Protocol):
    """Workflows of media jobs and purges. Raises `ServiceUnavailable` while Temporal is away."""

    async def cancel(self, job_id: UUID) -> bool:
        """Ask the job's workflow to end. False when none is open."""

    async def terminate(self, job_id: UUID) -> None:
        """End the job's workflow at once."""

    async def delete(self, workflow_ids: Sequence[str]) -> int:
        """Delete the histories. Return how many there were."""

    async def jobs_of(self, account_id: UUID) -> list[UUID]:
        """The jobs of an account whose workflows Temporal still lists."""

    async def running_jobs_of(self, account_id: UUID) -> list[UUID]:
        """Those whose workflows are listed as open. One that began a moment ago may be missing."""

    async def deliveries_of(self, account_id: UUID) -> list[str]:
        """The workflows of an account's webhooks that Temporal lists. One that began a moment ago may be missing."""

    async def existing(self, workflow_ids: Sequence[str]) -> list[str]:
        """Those of which Temporal has a history."""

    async def running(self, workflow_ids: Sequence[str]) -> list[str]:
        """Those that are open."""


class EndingJobs(Protocol):
    async def end(self, job_id: UUID, state: State, error: JobError | None) -> Job: ...


@dataclass(frozen=True, slots=True)
class Deleted:
    """A page of jobs whose objects and histories are gone."""

    after: UUID | None
    """Where the next page begins. None: there is none."""
    objects: int
    workflows: int


@dataclass(frozen=True, slots=True)
class ErasureSteps:
    database: Database
    wrapping: Wrapping
    storage: Storage
    jobs: EndingJobs
    histories: Histories

    async def cut(self, purge_id: UUID) -> int:
        """End what runs of older epochs. Return how many calls, and workflows of jobs, are still open.

        A workflow outlives its job: it then deletes at the provider what the job made.
        """
        async with self.database.transaction() as session:
            await purges.note(session, purge_id, "cut")
            purge = await purges.find(session, purge_id)
            running = list(await purges.unfinished_jobs(session, purge))
            await purges.cancel(session, running)
        age = datetime.now(UTC) - (purge.progressed_at or datetime.now(UTC))  # of the first cut, not of the request
        for job_id in running:
            await self._end_job(job_id, age)
        async with self.database.transaction(account=purge.account_id) as session:
            open_holds = await purges.open_holds(session, purge)
            if not purge.part and age > CALL_GRACE and open_holds:
                sweeps = [Sweep(hold_id, purge.account_id, cut=True) for hold_id in open_holds]
                await ledger.execute(await raw(session), sweeps)
                open_holds = await purges.open_holds(session, purge)
        return len(open_holds) + (0 if age > JOB_GRACE else len(await self._running(purge)))

    async def _running(self, purge: PurgeRow) -> list[str]:
        """The open workflows of the purge's jobs: those that Temporal lists, and those of jobs that ended just now."""
        if purge.part:
            jobs = {UUID(purge.part_id)} if purge.part == "job" else set()
        else:
            async with self.database.reading() as session:
                jobs = set(await purges.lately_ended(session, purge, JOB_GRACE))
            jobs |= set(await self._older(purge, await self.histories.running_jobs_of(purge.account_id)))
        return await self.histories.running([workflow_id(job_id) for job_id in jobs])

    async def _end_job(self, job_id: UUID, age: timedelta) -> None:
        """Let its workflow end it, which asks the provider: what is finished there is charged. Else end it here."""
        if age > JOB_GRACE:
            await self.histories.terminate(job_id)
        elif await self.histories.cancel(job_id):
            return
        await self.jobs.end(job_id, State.CANCELLED, None)

    async def survey(self, purge_id: UUID) -> None:
        """Count once what there is to erase, before anything of it goes."""
        async with self.database.reading() as session:
            purge = await purges.find(session, purge_id)
            if purge.found:
                return
            rows = await erasure.count(session, purges.extent(purge))
        objects, workflows = len(await self._objects(purge)), len(await self._workflows(purge))
        async with self.database.transaction() as session:
            purge = await purges.find(session, purge_id)
            purge.found = {**rows, "objects": objects, "workflows": workflows}
            session.add(purge)

    async def shred(self, purge_id: UUID) -> None:
        """Destroy the data keys of older epochs. From here on nothing can be read that they sealed, in no copy."""
        async with self.database.transaction() as session:
            gone = await purges.call(session, "shred_keys", purge_id)
            await purges.note(session, purge_id, "keys", **({"data_keys": gone} if gone else {}))

    async def delete_media(self, purge_id: UUID, after: UUID | None) -> Deleted:
        """Delete the objects and histories of one page of jobs."""
        async with self.database.transaction() as session:
            purge = await purges.find(session, purge_id)
            await purges.note(session, purge_id, "objects")
            page = list(await purges.jobs(session, purge, after, PAGE))
        objects = sum([await self._delete_objects(purge, job_id) for job_id in page])
        workflows = await self.histories.delete([workflow_id(job_id) for job_id in page])
        after = page[-1] if len(page) == PAGE else None
        if after is None:
            objects += sum([await self._delete_objects(purge, job_id) for job_id in await self._objects(purge)])
            workflows += await self.histories.delete((await self._workflows(purge))[:DELETED])
        if objects or workflows:
            async with self.database.transaction() as session:
                await purges.note_progress(session, purge_id)
        return Deleted(after, objects, workflows)

    async def media_left(self, purge_id: UUID) -> int:
        """Count the objects and histories that are still there: Temporal deletes some time after it was told to."""
        async with self.database.reading() as session:
            purge = await purges.find(session, purge_id)
        return len(await self._objects(purge)) + len(await self._workflows(purge))

    async def delete_rows(self, purge_id: UUID) -> bool:
        """Delete rows, a batch after the other. True when none is left."""
        async with self.database.reading() as session:
            extent = purges.extent(await purges.find(session, purge_id))

        async def batch(session: Session) -> bool:
            gone = await erasure.erase(session, extent, BATCH)
            await purges.note(session, purge_id, "rows", **(dict([gone]) if gone else {}))
            return gone is not None

        return await self._repeat(batch)

    async def roll_up(self, purge_id: UUID) -> bool:
        """Take the calls out of the books, a batch after the other. True when none is left."""
        async with self.database.transaction() as session:
            purge = await purges.find(session, purge_id)
            if purge.part:
                return True
            hashed = await purges.call(session, "hash_references", purge_id)
            await purges.note(session, purge_id, "ledger", **({"references": hashed} if hashed else {}))

        async def batch(session: Session) -> bool:
            calls = await purges.call(session, "roll_up", purge_id, batch=BATCH)
            await purges.note(session, purge_id, "ledger", **({"calls": calls} if calls else {}))
            return calls is not None

        return await self._repeat(batch)

    async def _repeat(self, batch: Callable[[Session], Awaitable[bool]]) -> bool:
        """Run batches, each in a transaction of its own, until one finds nothing: True. False after the time.

        Every batch waits for the disk. Not to wait made nothing faster: one commit in 2,000 rows is little.
        """
        end = time.monotonic() + MAX_STEP_SECONDS
        while True:
            async with self.database.transaction() as session:
                if not await batch(session):
                    return True
            if time.monotonic() >= end:
                return False

    async def conclude(self, purge_id: UUID) -> bool:
        """Count again. If nothing is left, end the sessions if asked, sign the receipt and complete. True when done."""
        async with self.database.reading() as session:
            purge = await purges.find(session, purge_id)
        if purge.completed_at is not None:
            return True
        media = {"objects": len(await self._objects(purge)), "workflows": len(await self._workflows(purge))}
        async with self.database.transaction() as session:
            after = {**await erasure.count(session, purges.extent(purge)), **media}
            if not purge.part:
                after |= await purges.left_of_everything(session, purge)
            if any(after.values()):
                return False
            purge, ended = await purges.find(session, purge_id), 0
            if purge.sessions:
                ended = await stored_sessions.end_all_of(session, purge.account_id)
            key = await purge_receipts.signing_key(session, self.wrapping)
            now = datetime.now(UTC)
            body = await _body(session, purge, after, now)
            body |= {"subject": key.subject(purge.account_id)}
            body["deleted"] |= {"sessions": ended} if purge.sessions else {}
            await purge_receipts.append(session, key, purge_id, body)
            data = {"purge_id": str(purge_id), "status": "completed", "sequence": 1}
            await webhooks.record_event(session, purge.account_id, EventType.PURGE_COMPLETED, purge_id, data)
            await purges.complete(session, purge, now)
        return True

    async def _objects(self, purge: PurgeRow) -> list[UUID]:
        """The jobs of the purge of which storage still has objects, one entry for each object."""
        if purge.part not in ("", "job"):
            return []
        prefix = f"{purge.account_id.hex}/" + (f"{UUID(purge.part_id).hex}/" if purge.part else "")
        job_ids: list[UUID] = []
        position = prefix
        while True:
            listed = await self.storage.listed(position, LISTED)
            own = [stored for stored in listed if stored.key.startswith(prefix)]
            job_ids += [folder.job_id for stored in own if (folder := OutputFolder.of(stored.key)) is not None]
            if len(own) < LISTED:
                return await self._older(purge, job_ids)
            position = own[-1].key

    async def _workflows(self, purge: PurgeRow) -> list[str]:
        """The workflows of jobs, and of the account's earlier purges, that Temporal still has."""
        if purge.part not in ("", "job"):
            return []
        async with self.database.reading() as session:
            known = {workflow_id(job_id) for job_id in await purges.jobs(session, purge, None, MAX_JOBS)}
            if purge.part:
                known.add(workflow_id(UUID(purge.part_id)))
            else:
                known |= {purge_workflow_id(earlier) for earlier in await purges.earlier(session, purge)}
                sent = await deliveries.young_workflows(session, purge.account_id, purge.epoch, LISTED)
                known |= {delivery_workflow_id(one, number) for one, number in sent}
        if purge.part:
            return await self.histories.existing(sorted(known))
        listed = await self._older(purge, await self.histories.jobs_of(purge.account_id))
        workflow_ids = await self.histories.existing(sorted(known | {workflow_id(job_id) for job_id in listed}))
        return sorted({*workflow_ids, *await self._older_deliveries(purge)})

    async def _older_deliveries(self, purge: PurgeRow) -> list[str]:
        """The workflows of webhooks that Temporal lists: a few requests, however many there are."""
        listed = await self.histories.deliveries_of(purge.account_id)
        if not listed:
            return []
        async with self.database.reading() as session:
            newer = await deliveries.since_epoch(session, purge.account_id, purge.epoch)
        return [name for name in listed if delivery_of_workflow(name) not in newer]

    async def _older(self, purge: PurgeRow, job_ids: list[UUID]) -> list[UUID]:
        if purge.part or not job_ids:
            return job_ids
        async with self.database.reading() as session:
            newer = await purges.newer_jobs(session, purge, list(set(job_ids)))
        return [job_id for job_id in job_ids if job_id not in newer]

    async def _delete_objects(self, purge: PurgeRow, job_id: UUID) -> int:
        return await self.storage.delete_prefix(OutputFolder(purge.account_id, job_id).prefix)


async def _body(session: Session, purge: PurgeRow, after: dict[str, int], now: datetime) -> dict[str, Any]:
    row, balance_after = await purges.rolled_up(session, purge)
    charged = row.credits_at_cut if row else 0
    body: dict[str, Any] = {
        "version": 1,
        "purge_id": str(purge.id),
        "scope": {purge.part: purge.part_id} if purge.part else {"account": True},
        "requested_at": _written(purge.requested_at),
        "completed_at": _written(now),
        "before": purge.found,
        "after": {name: after[name] for name in purge.found},
        "deleted": {name: number - after[name] for name, number in purge.found.items()},
        "verification": after,
        "retained": [
            {"class": entry.table, "fields": entry.fields, "reason": entry.reason, "until": entry.until}
            for entry in RETAINED
        ],
    }
    if purge.part:
        return body
    if balance_after != purge.balance - charged:  # nothing was lost or gained, or there is no receipt
        raise ServiceUnavailable("The balance after the purge is not what it was before.")
    body["balance"] = {
        "before": exact(purge.balance),
        "charged_while_cut": exact(charged),
        "after": exact(balance_after),
    }
    body["rolled_up"] = {
        "calls": row.calls if row else 0,
        "movements": row.movements if row else 0,
        "credits": exact(row.credits if row else 0),
    }
    body["keys_destroyed"] = purge.erased.get("data_keys", 0)
    return body


def _written(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None

"""Media jobs. Each public method of `MediaJobs` is one transaction. It is idempotent, also when it runs late.

Lock order: the job's row first, then those of the ledger (account, key, hold).
"""

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import delete, insert, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts, idempotency, job_files, ledger, media_intents, media_routes, media_terms
from db.accounts import Balance
from db.data_keys import Sealing
from db.due_jobs import DueJobs
from db.engine import Database, raw
from db.media_orders import Order
from db.media_tables import JobInputRow, MediaJobRow
from db.webhook_content import Target, expect
from db.webhooks import record_end
from domain.errors import EndedByPurge, GatewayError, NotFound, ServiceUnavailable, UpstreamBusy
from domain.holds import ClosedBy
from domain.media import (
    Job,
    JobError,
    MediaRequest,
    Output,
    OutputFolder,
    Phase,
    ProviderLimits,
    State,
    SubmitIntent,
    may_become,
)
from domain.operations import IdempotencyClaim, Operation, Settle, Void
from domain.plans import NO_PLAN, Plan
from domain.pricing import Share
from domain.privacy import PrivacyClass
from domain.results import Answer, Closed, Replay, Reserved


@dataclass(frozen=True, slots=True)
class Accepted:
    job: Job
    available: int
    replayed: bool
    """True if an earlier request with the same `Idempotency-Key` made this job."""


class MediaJobs(DueJobs):
    def __init__(
        self,
        database: Database,
        sealing: Sealing,
        *,
        output_lifetime: timedelta,
        plan_of: Callable[[str], Plan | None] = lambda _name: None,
        max_stored_bytes: int | None = None,
    ) -> None:
        """`plan_of` tells what accounts with an active plan get, by its name.

        An account that stores `max_stored_bytes` starts no job.
        """
        super().__init__(database)
        self._sealing = sealing
        self._output_lifetime, self._plan_of = output_lifetime, plan_of
        self._max_stored_bytes = max_stored_bytes
        self._limits: Callable[[str], ProviderLimits] = lambda _: ProviderLimits()

    def limited_by(self, limits: Callable[[str], ProviderLimits]) -> Self:
        """Return the same with the limits of each provider, by its name."""
        limited = copy(self)
        limited._limits = limits
        return limited

    async def accept(self, order: Order) -> Accepted:
        """Hold the price, queue the job and seal its input, in one transaction. Raises the ledger's refusal."""
        files = await self._sealed(order)
        async with self._database.transaction(account=order.payer.account_id) as session:
            await job_files.add(session, files)
            reserved = await _ask(session, order.reserve())
            if isinstance(reserved, Replay):
                await job_files.delete(session, order.job_id)
                return Accepted(_job(await _row(session, reserved.hold_id)), reserved.available, replayed=True)
            assert isinstance(reserved, Reserved)  # noqa: S101  # the only other answer to a Reserve
            if files and files[0]["epoch"] != reserved.epoch:
                raise EndedByPurge("A purge of this account has begun. Nothing was charged; send the request again.")
            terms = await media_terms.of(session, self._sealing, reserved.account_id)
            terms.stored.require_room(self._max_stored_bytes)
            row = order.row(reserved, self._plan_named(terms.plan).turn)
            session.add(row)
            await session.flush()
            required = PrivacyClass.strongest(order.request.privacy, reserved.rules.privacy.required)
            plain = order.request.model_copy(update={"privacy": required}).model_dump_json().encode()
            sealed = terms.key.seal(plain, aad=_aad(order.job_id))
            values = {"job_id": order.job_id, "epoch": terms.key.epoch, "sealed": sealed}
            await (await session.connection()).execute(insert(JobInputRow), values)
            if order.webhook_url is not None:
                await expect(session, terms.key, order.job_id, Target(order.webhook_url))
            return Accepted(_job(row), reserved.available, replayed=False)

    async def _sealed(self, order: Order) -> list[dict[str, object]]:
        """Seal the input files of a job before its transaction: it takes a while, and the account is locked there."""
        if not order.files or order.payer.account_id is None:
            return []
        async with self._database.reading() as session:
            key = await self._sealing.current(session, order.payer.account_id)
        return await asyncio.to_thread(job_files.sealed, key, order.payer.account_id, order.job_id, order.files)

    async def made_before(self, account_id: UUID, claim: IdempotencyClaim) -> Accepted | None:
        """Return the job that the same request has made. Raises `KeyReused` for another request."""
        async with self._database.reading() as session:
            record = await idempotency.find(session, account_id, claim)
            row = None if record is None else await session.get(MediaJobRow, record.hold_id)
            if row is None or row.account_id != account_id or await _is_erased(session, row):
                return None
            return Accepted(_job(row), (await accounts.balance(session, account_id)).available, replayed=True)

    async def balance(self, account_id: UUID) -> Balance:
        async with self._database.reading() as session:
            return await accounts.balance(session, account_id)

    async def load(self, job_id: UUID) -> Job:
        async with self._database.reading() as session:
            return _job(await _row(session, job_id))

    async def owned(self, account_id: UUID, job_id: UUID) -> Job:
        """Return a job of the account. Raises `NotFound`, also for another account's job."""
        async with self._database.reading() as session:
            return _job(await _owned(session, account_id, job_id))

    async def request(self, job_id: UUID) -> MediaRequest:
        async with self._database.reading() as session:
            row = await _row(session, job_id)
            sealed = await session.get(JobInputRow, job_id)
            if sealed is None:
                raise NotFound
            plain = await self._sealing.open(session, row.account_id, sealed.epoch, sealed.sealed, aad=_aad(job_id))
            request = MediaRequest.model_validate_json(plain)
            return request.model_copy(update={"model": row.provider_model}) if row.provider_model else request

    async def begin(self, job_id: UUID) -> Job:
        async with self._database.transaction() as session:
            row = await _row(session, job_id, lock=True)
            if State(row.state) is State.QUEUED:
                row.state, row.started_at = State.RUNNING, datetime.now(UTC)
                session.add(row)
            return _job(row)

    async def intend_submit(self, job: Job) -> SubmitIntent:
        async with self._database.transaction() as session:
            row = await _row(session, job.id, lock=True)
            intent = await media_intents.take(session, row, job, self._limits(row.provider))
            session.add(row)
        if isinstance(intent, timedelta):  # raised after it is recorded that this job waits
            raise UpstreamBusy(retry_after=intent)
        return intent

    async def require_intent(self, job_id: UUID, intent: SubmitIntent) -> None:
        async with self._database.reading() as session:
            if not media_intents.has(await _row(session, job_id), intent):
                raise ServiceUnavailable("Another attempt submits this job by now.")

    async def change_route(self, job_id: UUID, provider: str, *, again: bool) -> Job:
        async with self._database.transaction() as session:
            row = await _row(session, job_id, lock=True)
            job = _job(row)
            if row.provider != provider or row.provider_job_id is not None or not job.routes:
                return job
            if row.submit_intended_at is not None:
                raise ServiceUnavailable("Another attempt submits this job by now.")
            media_routes.change(row, job.routes, again=again)
            session.add(row)
            return _job(row)

    async def forget_submit(self, job: Job, intent: SubmitIntent) -> None:
        async with self._database.transaction() as session:
            row = await _row(session, job.id, lock=True)
            if row.provider_job_id is None and media_intents.has(row, intent):
                row.submit_intended_at = None
                session.add(row)

    async def record_submitted(self, job: Job, provider_job_id: str, produced: Sequence[Output] | None = None) -> str:
        async with self._database.transaction() as session:
            row = await _row(session, job.id, lock=True)
            if row.provider != job.provider:
                return row.provider_job_id or ""
            if row.provider_job_id is None:
                row.provider_job_id = provider_job_id
                row.produced = None if produced is None else _plain(produced)
            row.submit_intended_at = row.submit_intended_at or datetime.now(UTC)  # lost, if the database was restored
            session.add(row)
            return row.provider_job_id

    async def record_progress(self, job_id: UUID, percent: int | None, phase: Phase) -> None:
        async with self._database.transaction() as session:
            row = await _row(session, job_id, lock=True)
            if State(row.state) is not State.RUNNING:
                return
            if row.phase != Phase.COPYING:  # a look at the provider may be late
                row.phase = phase
            if percent is not None and percent > (row.progress or 0):
                row.progress = min(percent, 99)
            session.add(row)

    async def succeed(self, job_id: UUID, outputs: Sequence[Output]) -> Job:
        owner = (await self.load(job_id)).account_id
        async with self._database.transaction(account=owner) as session:
            row = await _row(session, job_id, lock=True)
            if may_become(State(row.state), State.SUCCEEDED):
                await self._charge(session, row, Share(len(outputs), row.outputs_ordered))
                row.outputs = _plain(outputs)
                row.progress = 100
                await self._finish(session, row, State.SUCCEEDED)
                row.output_bytes = sum(output.stored_bytes for output in outputs)
                lifetime = (await self._plan(session, row.account_id)).output_lifetime
                row.expires_at = datetime.now(UTC) + (self._output_lifetime if lifetime is None else lifetime)
            return _job(row)

    async def end(self, job_id: UUID, state: State, error: JobError | None, *, wait: bool = True) -> Job:
        owner = (await self.load(job_id)).account_id if wait else None
        async with self._database.transaction(account=owner) as session:
            if not wait:
                await session.exec(text("SET LOCAL lock_timeout = '250ms'"))  # type: ignore[call-overload]
            row = await _row(session, job_id, lock=True)
            if may_become(State(row.state), state):
                await self._release(session, row, state, error)
        return _job(row)  # after its end: a row that cannot be read gets its credits back, too

    async def request_cancel(self, account_id: UUID, job_id: UUID) -> Job:
        """Record that the owner wants the job cancelled. One that nobody has begun ends at once, in one transaction.

        A job that has ended is returned as it is. Raises `NotFound`, also for another account's job.
        """
        async with self._database.transaction(account=account_id) as session:
            row = await _owned(session, account_id, job_id, lock=True)
            if State(row.state) is State.QUEUED and row.submit_intended_at is None and row.provider_job_id is None:
                await self._release(session, row, State.CANCELLED, None)
            elif not State(row.state).terminal:
                row.cancel_requested_at = row.cancel_requested_at or datetime.now(UTC)
                session.add(row)
            return _job(row)

    async def serves(self, object_key: str) -> bool:
        """Tell whether this output may be served: its job succeeded, and it has not expired."""
        folder = OutputFolder.of(object_key)
        if folder is None:
            return False
        async with self._database.reading() as session:
            row = await session.get(MediaJobRow, folder.job_id)
            if row is None or await _is_erased(session, row):
                return False
            served = _job(row).served(datetime.now(UTC))
            return any(file.object_key == object_key for output in served for file in output.files)

    async def _plan(self, session: AsyncSession, account_id: UUID) -> Plan:
        """Return the plan that the account has now."""
        balance = await accounts.balance(session, account_id)
        return self._plan_named(balance.plan if balance.plan_active else None)

    def _plan_named(self, name: str | None) -> Plan:
        return (self._plan_of(name) if name else None) or NO_PLAN

    async def _charge(self, session: AsyncSession, row: MediaJobRow, share: Share) -> None:
        """Charge for the outputs that were made, and release the rest. The provider's cost has the same share."""
        cost = media_routes.reduce_cost(row, share)
        paid = Settle(row.id, row.account_id, None, True, ClosedBy.JOB, provider=row.provider, cost=cost, share=share)
        closed = await _ask(session, paid)
        assert isinstance(closed, Closed)  # noqa: S101  # the only other answer to a Settle
        row.credits_refunded = row.credits_cost - closed.charged

    async def _release(self, session: AsyncSession, row: MediaJobRow, state: State, error: JobError | None) -> None:
        await _ask(session, Void(row.id, row.account_id, row.kind, row.model, ClosedBy.JOB))
        row.error = error.model_dump() if error else None
        row.credits_refunded = row.credits_cost
        await self._finish(session, row, state)

    async def _finish(self, session: AsyncSession, row: MediaJobRow, state: State) -> None:
        row.state, row.phase, row.finished_at = state, None, datetime.now(UTC)
        await session.exec(delete(JobInputRow).where(col(JobInputRow.job_id) == row.id))
        await job_files.delete(session, row.id)
        session.add(row)
        await record_end(session, row)


async def _ask(session: AsyncSession, operation: Operation) -> Answer:
    """Run one ledger operation inside this transaction."""
    await session.flush()
    (result,) = await ledger.execute(await raw(session), [operation])
    if isinstance(result, GatewayError):
        raise result
    return result


async def _row(session: AsyncSession, job_id: UUID, *, lock: bool = False) -> MediaJobRow:
    query = select(MediaJobRow).where(MediaJobRow.id == job_id)
    row = (await session.exec(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("There is no such job in this account.")
    return row


async def _owned(session: AsyncSession, account_id: UUID, job_id: UUID, *, lock: bool = False) -> MediaJobRow:
    row = await _row(session, job_id, lock=lock)
    if row.account_id != account_id or await _is_erased(session, row):
        raise NotFound("There is no such job in this account.")
    return row


async def _is_erased(session: AsyncSession, row: MediaJobRow) -> bool:
    """Tell whether a purge erases the job: from its beginning on, nobody finds it."""
    return row.epoch < await accounts.epoch(session, row.account_id)


def _plain(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    return [output.model_dump(mode="json") for output in outputs]


def _aad(job_id: UUID) -> str:
    return f"job_inputs|{job_id}"


def _job(row: MediaJobRow) -> Job:
    return Job.model_validate(row, from_attributes=True)

"""Jobs, providers and storage in memory, and a script that makes any of their steps wait or fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from activities.media import Limits
from domain.errors import NotFound, OutputTooLarge, ServiceUnavailable, where
from domain.media import (
    Job,
    JobError,
    JobKey,
    JobRoute,
    Kind,
    MediaInput,
    MediaRequest,
    Output,
    Phase,
    State,
    SubmitIntent,
    may_become,
)
from domain.rounds import MaintenanceErrors
from gateway.maintenance import Maintenance, Starter
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from storage.base import Listed, Stored
from tests.support.temporal.fake_deliveries import FakeDeliveries
from tests.support.temporal.fake_maintenance import FakeAuditor, FakeHolds, FakeLog, FakeOutputs, FakePlans
from tests.support.temporal.fake_purge import FakeErasing
from tests.support.temporal.script import Script

SENTINEL = "a-prompt-that-nobody-may-read"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8000

QUICK = Limits(
    max_watch=timedelta(milliseconds=60),
    min_pause=timedelta(milliseconds=10),
    max_pause=timedelta(milliseconds=50),
    min_absence=timedelta(milliseconds=20),
    cancel_timeout=timedelta(milliseconds=200),
    takeover_pause=timedelta(0),
)


@dataclass
class Row:
    job: Job
    request: MediaRequest | None


class FakeJobs:
    """`Jobs` and a ledger that only counts."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.rows: dict[UUID, Row] = {}
        self.ends: list[tuple[UUID, State]] = []
        self.charges: list[UUID] = []
        self.releases: list[UUID] = []
        self.unreadable: set[UUID] = set()
        """Jobs whose row holds what this code does not understand."""
        self.locked_accounts: set[UUID] = set()
        self.cancels_sent: list[UUID] = []
        self.purged: set[UUID] = set()

    def accept(self, job: Job, request: MediaRequest) -> None:
        self.rows[job.id] = Row(job, request)

    async def load(self, job_id: UUID) -> Job:
        if job_id in self.unreadable:
            raise ValueError(SENTINEL)
        return self._row(job_id).job

    async def owned(self, _account_id: UUID, job_id: UUID) -> Job:
        if job_id in self.purged:
            raise NotFound
        return await self.load(job_id)

    async def request(self, job_id: UUID) -> MediaRequest:
        await self._script.at("jobs.request")
        request = self._row(job_id).request
        if request is None:
            raise NotFound
        model = self._row(job_id).job.provider_model
        return request.model_copy(update={"model": model}) if model else request

    async def begin(self, job_id: UUID) -> Job:
        await self._script.at("jobs.begin")
        row = self._row(job_id)
        if row.job.state is State.QUEUED:
            self._change(row, state=State.RUNNING, started_at=datetime.now(UTC))
        return row.job

    async def intend_submit(self, job: Job) -> SubmitIntent:
        await self._script.at("jobs.intend_submit")
        row = self._row(job.id)
        if row.job.state.terminal:
            raise NotFound
        if row.job.provider != job.provider:
            raise ServiceUnavailable
        unwanted, again = row.job.cancel_requested_at is not None, row.job.submit_intended_at is not None
        intent = SubmitIntent(datetime.now(UTC), again=again, unwanted=unwanted)
        if unwanted and not again:
            return intent
        self._change(row, submit_intended_at=intent.at)
        return intent

    async def require_intent(self, job_id: UUID, intent: SubmitIntent) -> None:
        if self._row(job_id).job.submit_intended_at != intent.at:
            raise ServiceUnavailable

    async def forget_submit(self, job: Job, intent: SubmitIntent) -> None:
        await self._script.at("jobs.forget_submit")
        row = self._row(job.id)
        if row.job.provider_job_id is None and row.job.submit_intended_at == intent.at:
            self._change(row, submit_intended_at=None)

    async def change_route(self, job_id: UUID, provider: str, *, again: bool) -> Job:
        await self._script.at("jobs.change_route")
        row = self._row(job_id)
        job = row.job
        if job.provider == provider and job.provider_job_id is None and job.routes:
            if job.submit_intended_at is not None:
                raise ServiceUnavailable
            then, *others = job.routes
            before = JobRoute(provider=provider, model=job.provider_model or "painter")
            left = (*others, before) if again else tuple(others)
            self._change(row, provider=then.provider, provider_model=then.model, routes=left)
        return row.job

    async def record_submitted(self, job: Job, provider_job_id: str, produced: Sequence[Output] | None = None) -> str:
        await self._script.at("jobs.record_submitted")
        row = self._row(job.id)
        if row.job.provider == job.provider and row.job.provider_job_id is None:
            outputs = None if produced is None else tuple(produced)
            self._change(row, provider_job_id=provider_job_id, produced=outputs)
        return row.job.provider_job_id or ""

    async def record_progress(self, job_id: UUID, percent: int | None, phase: Phase) -> None:
        row = self._row(job_id)
        if row.job.state is State.RUNNING:
            self._change(row, progress=percent if percent is not None else row.job.progress, phase=phase)

    async def succeed(self, job_id: UUID, outputs: Sequence[Output]) -> Job:
        await self._script.at("jobs.succeed")
        row = self._row(job_id)
        if may_become(row.job.state, State.SUCCEEDED):
            self.charges.append(job_id)
            self._end(row, State.SUCCEEDED, outputs=tuple(outputs))
        await self._script.at("jobs.succeeded")
        return row.job

    async def end(self, job_id: UUID, state: State, error: JobError | None, *, wait: bool = True) -> Job:
        await self._script.at("jobs.end")
        row = self._row(job_id)
        if not wait and row.job.account_id in self.locked_accounts:
            raise ServiceUnavailable
        if may_become(row.job.state, state):
            self.releases.append(job_id)
            self._end(row, state, error=error, credits_refunded=row.job.credits_cost)
        return row.job

    async def waiting(self, older_than: timedelta, limit: int, *, but: Collection[UUID]) -> list[JobKey]:
        await self._script.at("jobs.waiting")
        before = datetime.now(UTC) - older_than
        queued = (row.job for row in self.rows.values() if row.job.state is State.QUEUED)
        return [_key(job) for job in queued if job.created_at < before and job.id not in but][:limit]

    async def beginning(self, job_ids: Collection[UUID]) -> set[UUID]:
        return {job_id for job_id in job_ids if self.rows[job_id].job.state is State.QUEUED}

    async def to_cancel(self, resend_after: timedelta, limit: int) -> list[JobKey]:
        wanted = (row.job for row in self.rows.values() if row.job.cancel_requested_at and not row.job.state.terminal)
        return [_key(job) for job in wanted if job.id not in self.cancels_sent][:limit]

    async def cancel_sent(self, job_id: UUID) -> None:
        self.cancels_sent.append(job_id)

    async def begun(self, since: timedelta, limit: int) -> list[JobKey]:
        await self._script.at("jobs.begun")
        before = datetime.now(UTC) - since
        running = (row.job for row in self.rows.values() if row.job.state is State.RUNNING)
        return [_key(job) for job in running if (job.started_at or job.created_at) < before][:limit]

    async def unfinished(self, limit: int) -> list[JobKey]:
        await self._script.at("jobs.unfinished")
        now = datetime.now(UTC)
        open_jobs = (row.job for row in self.rows.values() if not row.job.state.terminal)
        return [_key(job) for job in open_jobs if job.deadline < now][:limit]

    def update(self, job_id: UUID, **changes: object) -> None:
        self._change(self._row(job_id), **changes)

    def _row(self, job_id: UUID) -> Row:
        if job_id not in self.rows:
            raise NotFound
        return self.rows[job_id]

    def _end(self, row: Row, state: State, **changes: object) -> None:
        self.ends.append((row.job.id, state))
        self._change(row, state=state, finished_at=datetime.now(UTC), **changes)
        row.request = None

    def _change(self, row: Row, **changes: object) -> None:
        row.job = row.job.model_copy(update=changes)


def _key(job: Job) -> JobKey:
    return JobKey(job.id, job.account_id, job.kind, job.deadline)


class FakeProvider:
    """A provider whose work goes through `stages`, one per look, and stays at the last one."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.find_is_complete = True
        self.synchronous = False
        """Its output comes with the answer to the submission, and it knows nothing afterwards."""
        self.stages: list[Progress] = [Progress(Stage.DONE, 100)]
        self.at_cancel: Progress | None = Progress(Stage.CANCELLED)
        """What becomes of cancelled work; None: it goes on as if nothing had been said."""
        self.cancel_answers: Progress | None = None
        """What it says to that at once, where it is not the same."""
        self.files: list[bytes | OutputFile] = [PNG]
        self.submitted: list[str] = []
        self.inputs: list[tuple[MediaInput, ...]] = []
        self.cancelled: list[str] = []
        self.discarded: list[str] = []

    async def submit(self, submission: MediaSubmission) -> Submitted:
        reference = submission.reference
        await self._script.at("provider.submit")
        if self.find_is_complete:
            await submission.lease.renew()
            await self._script.at("provider.leaves")
            submission.lease.require()
        self.submitted.append(reference)
        self.inputs.append(submission.inputs)
        await self._script.at("provider.submitted")
        work = f"work-of-{reference}"
        return Submitted(work, self.fetch(work) if self.synchronous else None)

    async def find(self, reference: str) -> str | None:
        await self._script.at("provider.find")
        return f"work-of-{reference}" if self.find_is_complete and reference in self.submitted else None

    async def poll(self, provider_job_id: str) -> Progress:
        await self._script.at("provider.poll")
        if provider_job_id in self.cancelled and self.at_cancel is not None:
            return self.at_cancel
        return self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        for content in self.files:
            await self._script.at("provider.fetch")
            yield (
                content
                if isinstance(content, OutputFile)
                else OutputFile("image/png", "png", in_chunks(content), width=640)
            )

    async def cancel(self, provider_job_id: str) -> Progress:
        await self._script.at("provider.cancel")
        self.cancelled.append(provider_job_id)
        return self.cancel_answers or self.at_cancel or self.stages[0]

    async def discard(self, provider_job_id: str) -> None:
        await self._script.at("provider.discard")
        self.discarded.append(provider_job_id)


class FakeInputs:
    def __init__(self) -> None:
        self.files: dict[UUID, tuple[MediaInput, ...]] = {}

    async def of(self, job_id: UUID) -> tuple[MediaInput, ...]:
        return self.files.get(job_id, ())


class FakeStorage:
    def __init__(self, script: Script) -> None:
        self._script = script
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.written_at: dict[str, datetime] = {}
        self.stuck: set[str] = set()
        """Objects that cannot be deleted."""
        self.silent: set[str] = set()
        """Objects that the store does not answer for."""

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str, max_bytes: int) -> Stored:
        await self._script.at("storage.put")
        content = b"".join([chunk async for chunk in chunks])
        if len(content) > max_bytes:
            raise OutputTooLarge
        self.objects[key] = (content, content_type)
        self.written_at[key] = datetime.now(UTC)
        return Stored(key, len(content), content_type)

    async def head(self, key: str) -> Stored | None:
        content = self.objects.get(key)
        return content and Stored(key, len(content[0]), content[1])

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        await self._script.at("storage.read")
        if key not in self.objects:
            raise NotFound
        yield self.objects[key][0][start:end]

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def delete_prefix(self, prefix: str) -> int:
        await self._script.at("storage.delete")
        if any(key.startswith(f"{prefix}/") for key in self.silent):
            await asyncio.Event().wait()
        below = [key for key in self.objects if key.startswith(f"{prefix}/")]
        for key in set(below) - self.stuck:
            del self.objects[key]
        if self.stuck.intersection(below):
            raise ServiceUnavailable
        return len(below)

    async def listed(self, after: str, limit: int) -> list[Listed]:
        await self._script.at("storage.list")
        keys = sorted(key for key in self.objects if key > after)[:limit]
        return [Listed(key, len(self.objects[key][0]), self.written_at[key]) for key in keys]


def sniff(first: bytes) -> str | None:
    return "image/png" if first.startswith(PNG[:8]) else None


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


@dataclass
class Fakes:
    """One small world: a script, and everything that follows it."""

    script: Script = field(default_factory=Script)

    def __post_init__(self) -> None:
        self.jobs = FakeJobs(self.script)
        self.provider = FakeProvider(self.script)
        self.inputs = FakeInputs()
        self.storage = FakeStorage(self.script)
        self.auditor = FakeAuditor(self.script)
        self.holds = FakeHolds(self.script)
        self.outputs = FakeOutputs(self.script)
        self.erasing = FakeErasing(self.script)
        self.plans = FakePlans(self.script)
        self.deliveries = FakeDeliveries(self.script)
        self.log = FakeLog()
        self.errors = MaintenanceErrors(self.log, where)

    def maintenance(self, starter: Starter, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Maintenance:
        return Maintenance(self.jobs, self.erasing, starter, self.errors, now=now)

    def accepted(self, *, kind: Kind = Kind.IMAGE, now: datetime | None = None, lasts: float = 900) -> Job:
        """A job as the API accepts it, with a deadline in `lasts` seconds."""
        created = now or datetime.now(UTC)
        job = Job(
            id=uuid4(),
            account_id=uuid4(),
            kind=kind,
            model="demo-image",
            provider="demo",
            state=State.QUEUED,
            credits_cost=100,
            created_at=created,
            deadline=created + timedelta(seconds=lasts),
        )
        self.jobs.accept(job, MediaRequest(kind=kind, model="painter", prompt=SENTINEL))
        return job

    def job(self, job_id: UUID) -> Job:
        return self.jobs.rows[job_id].job

    def assert_ended_once(self, job: Job, state: State) -> None:
        """One end, one charge or one release, never two submissions, and nothing left lying about."""
        assert self.jobs.ends == [(job.id, state)]
        succeeded = state is State.SUCCEEDED
        assert self.jobs.charges == ([job.id] if succeeded else [])
        assert self.jobs.releases == ([] if succeeded else [job.id])
        assert len(self.provider.submitted) <= 1
        assert bool(self.storage.objects) is succeeded
        assert bool(self.job(job.id).outputs) is succeeded

"""A media job's dealings with its provider and our storage. Each step is safe to do twice and safe to do late."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from temporalio import activity

from activities import failures
from activities.heartbeat import Beat, heartbeating, uninterrupted
from activities.outputs import OutputStore, Poster, Sniff, no_poster
from activities.payloads import CancelResult, Copied, JobRef, PollResult, Watch
from activities.ports import Inputs, Jobs
from domain.errors import (
    NotFound,
    RetentionDenied,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    where,
)
from domain.media import Job, MediaInput, MediaRequest, Output, Phase, State
from providers.base import MediaProvider, MediaSubmission, Progress, Stage, Submitted
from storage.base import Storage


class Providers(Protocol):
    def __call__(self, name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        """Return the provider of that name, to hand it the request if there is one.

        Raises `UpstreamError` for one that is not configured here: the next deploy may have it. Raises
        `RetentionDenied` if it keeps more of the request than the request allows.
        """


MAX_SUBMIT_ATTEMPTS = 6
"""To a provider that is broken. One that is busy is asked until the deadline."""
_RECORD_PAUSES = (0.2, 0.5, 1, 2, 5, 10, 10, 10)


@dataclass(frozen=True, slots=True)
class Limits:
    max_output_bytes: int = 1 << 30
    max_outputs: int = 16
    sniffed_bytes: int = 4096
    submit_timeout: timedelta = timedelta(seconds=270)
    """Below the activity's start-to-close: when Temporal makes another attempt, this one is over."""
    max_watch: timedelta = timedelta(seconds=20)
    """However patient the workflow is: an activity's slot is not there to wait in."""
    min_pause: timedelta = timedelta(seconds=0.5)
    """Between two looks at the provider, to begin with; they get rarer, down to one in `max_pause`."""
    max_pause: timedelta = timedelta(seconds=5)
    cancel_timeout: timedelta = timedelta(seconds=30)
    """How long a provider may take to say what became of a cancelled job; then it counts as not billed."""


class NoInputs:
    """Jobs without input files."""

    async def of(self, _job_id: UUID) -> tuple[MediaInput, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Files:
    """Where the files of jobs are: the outputs that we store, and the inputs that a provider is sent."""

    storage: Storage
    sniff: Sniff
    inputs: Inputs = field(default_factory=NoInputs)
    poster: Poster = no_poster


class MediaActivities:
    def __init__(self, jobs: Jobs, providers: Providers, files: Files, limits: Limits = Limits()) -> None:
        self._jobs, self._providers, self._inputs = jobs, providers, files.inputs
        self._outputs = OutputStore(files.storage, files.sniff, files.poster)
        self._limits = limits

    @activity.defn
    async def submit(self, ref: JobRef) -> None:
        """Hand the job to its provider, once, however often this is retried.

        The intent is recorded before, the provider's id right after. A retry that finds an intent without an id is in
        doubt and looks for the job under our reference; only a provider whose `find` knows every submission
        (`find_is_complete`) is asked again when there is none. With any other the job fails and its credits go back:
        at worst the operator pays for one job that nobody got, never for two. Outputs that come with the answer are
        stored first, and recorded together with the id.
        """
        with failures.translated(give_up_after=MAX_SUBMIT_ATTEMPTS):
            async with heartbeating() as beat:
                await uninterrupted(self._submit(ref.job_id, beat))

    @activity.defn
    async def poll(self, watch: Watch) -> PollResult:
        """Return the work's progress, after waiting up to `patience` for its end. Raises when the work has failed."""
        with failures.translated():
            async with heartbeating():
                job = await self._running(watch.job_id)
                if job.produced is not None:
                    return PollResult(done=True)
                progress = await self._look(job, min(watch.patience, self._limits.max_watch))
                if progress.stage in (Stage.FAILED, Stage.CANCELLED):
                    raise failures.at_provider(progress.failure)
                done = progress.stage is Stage.DONE
                return PollResult(done=done, percent=progress.percent, queued=progress.queued)

    @activity.defn
    async def copy(self, ref: JobRef) -> Copied:
        """Copy the output into our storage. Keys are derived from the job: a second copy writes the same objects."""
        with failures.translated():
            async with heartbeating():
                job = await self._running(ref.job_id)
                if job.produced is not None:
                    return Copied(outputs=job.produced)
                provider, work = await self._at(job)
                await self._jobs.record_progress(job.id, None, Phase.COPYING)
                try:
                    return Copied(outputs=await self._outputs.keep(job, provider.fetch(work), self._limits))
                finally:
                    await uninterrupted(self._delete_unserved(job))

    @activity.defn
    async def cancel(self, ref: JobRef) -> CancelResult:
        """Ask the provider to stop, and wait briefly for its final state, which decides about the charge."""
        with failures.translated():
            async with heartbeating():
                job = await self._jobs.load(ref.job_id)
                if job.produced is not None:
                    return CancelResult(billed=True)
                provider, work = self._provider(job), await self._work(job)
                if work is None:
                    return CancelResult(billed=False)
                progress = await provider.cancel(work)
                async for _ in self._looks(self._limits.cancel_timeout):
                    if progress.stage is not Stage.RUNNING:
                        break
                    progress = await provider.poll(work)
                return CancelResult(billed=progress.stage is Stage.DONE)

    @activity.defn
    async def discard(self, ref: JobRef) -> None:
        """Delete the work at the provider, and in our storage everything that a succeeded job does not serve."""
        with failures.translated():
            job = await self._jobs.load(ref.job_id)
            await self._delete_unserved(job)
            work = await self._work(job)
            if work is not None:
                await self._provider(job).discard(work)

    async def _submit(self, job_id: UUID, beat: Beat) -> None:
        job = await self._running(job_id)
        if job.provider_job_id is not None:
            return
        request, inputs = await self._jobs.request(job_id), await self._inputs.of(job_id)
        provider, reference = self._provider(job), str(job_id)
        in_doubt = await self._jobs.intend_submit(job_id)
        if in_doubt or provider.traits.find_is_complete:  # Postgres may be a backup from before it was submitted
            accepted = beat.last or await provider.find(reference)
            if accepted is not None:
                await self._record(job, accepted)
                return
            if not provider.traits.find_is_complete:
                raise failures.submission_in_doubt()
        try:
            accepted, produced = await self._accepted(job, MediaSubmission(request, reference, inputs), beat)
            await self._record(job, accepted, produced)
        finally:
            await uninterrupted(self._delete_unserved(job))

    async def _accepted(self, job: Job, submission: MediaSubmission, beat: Beat) -> tuple[str, Sequence[Output] | None]:
        """Submit, and store what comes with the answer. Return the provider's id, and the outputs if there are any."""
        try:
            async with asyncio.timeout(self._limits.submit_timeout.total_seconds()):
                submitted = await self._submitted(job, submission)
                if submitted.files is not None:
                    outputs = await self._outputs.keep(job, submitted.files, self._limits)
                    return submitted.provider_job_id, outputs
        except TimeoutError:
            raise UpstreamTimeout from None
        beat.note(submitted.provider_job_id)
        return submitted.provider_job_id, None

    async def _submitted(self, job: Job, submission: MediaSubmission) -> Submitted:
        try:
            # Here, after the search: the work of an earlier attempt is not lost when the provider's class is lowered.
            return await self._providers(job.provider, submission.request).submit(submission)
        except UpstreamError as error:
            if isinstance(error, UpstreamBusy | UpstreamRefused | RetentionDenied) or error.not_accepted:
                await self._jobs.forget_submit(job.id)
            raise

    async def _record(self, job: Job, accepted: str, produced: Sequence[Output] | None = None) -> None:
        """Store the provider's id. Only this attempt knows it for certain, so it retries when the database fails."""
        for pause in _RECORD_PAUSES:
            try:
                recorded = await self._jobs.record_submitted(job.id, accepted, produced)
                break
            except NotFound:  # a purge has erased the job meanwhile: nobody else knows that the provider has it
                await self._provider(job).cancel(accepted)
                await self._provider(job).discard(accepted)
                raise failures.job_ended() from None
            except Exception as error:
                activity.logger.warning("provider's id not recorded yet: %s", where(error))
                await asyncio.sleep(pause)
        else:
            recorded = await self._jobs.record_submitted(job.id, accepted, produced)
        if recorded != accepted:  # another attempt got through as well: one of the two is enough
            activity.logger.error("a job was submitted twice; the second submission is cancelled")
            await self._provider(job).cancel(accepted)

    async def _look(self, job: Job, max_wait: timedelta) -> Progress:
        provider, work = await self._at(job)
        progress = await provider.poll(work)
        job = await self._recorded(job, progress)
        async for _ in self._looks(max_wait):
            if progress.stage is not Stage.RUNNING or activity.is_worker_shutdown():
                break
            progress = await provider.poll(work)
            job = await self._recorded(job, progress)
        return progress

    async def _recorded(self, job: Job, progress: Progress) -> Job:
        """Record what is new. Return the job with it."""
        phase = Phase.WAITING if progress.queued else Phase.RUNNING
        if progress.stage is Stage.DONE or (progress.percent in (None, job.progress) and phase is job.phase):
            return job
        await self._jobs.record_progress(job.id, progress.percent, phase)
        return job.model_copy(update={"progress": progress.percent, "phase": phase})

    async def _looks(self, max_wait: timedelta) -> AsyncIterator[None]:
        """Yield when to poll the provider again: ever more rarely, until `max_wait` is over."""
        clock = asyncio.get_running_loop().time
        end = clock() + max_wait.total_seconds()
        pause = self._limits.min_pause
        while clock() + pause.total_seconds() <= end:
            await asyncio.sleep(pause.total_seconds())
            yield
            pause = min(pause * 1.5, self._limits.max_pause)

    async def _delete_unserved(self, job: Job) -> None:
        """Delete the job's objects if it has ended without outputs, or a purge has erased it.

        A worker that was frozen learns only here, after it has written, what happened meanwhile.
        """
        try:
            state = (await self._jobs.load(job.id)).state
        except NotFound:
            state = State.CANCELLED
        if state.terminal and state is not State.SUCCEEDED:
            await self._outputs.delete(job)

    async def _running(self, job_id: UUID) -> Job:
        job = await self._jobs.load(job_id)
        if job.state is State.QUEUED:  # it has begun, but in a Postgres that has been restored since
            job = await self._jobs.begin(job_id)
        if job.state.terminal:
            raise failures.job_ended()
        return job

    def _provider(self, job: Job) -> MediaProvider:
        return self._providers(job.provider)

    async def _at(self, job: Job) -> tuple[MediaProvider, str]:
        work = await self._work(job)
        if work is None:
            raise failures.submission_in_doubt()
        return self._provider(job), work

    async def _work(self, job: Job) -> str | None:
        """The provider's id of the job, also where nobody came to record it."""
        if job.provider_job_id is not None:
            return job.provider_job_id
        provider_job_id = await self._provider(job).find(str(job.id))
        return provider_job_id and await self._jobs.record_submitted(job.id, provider_job_id)

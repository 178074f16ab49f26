"""A media job's dealings with its provider and our storage. Each step is safe to do twice and safe to do late."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from temporalio import activity

from activities import failures
from activities.heartbeat import Beat, heartbeating
from activities.outputs import OutputStore, Poster, Sniff, no_poster
from activities.payloads import Accepted, CancelResult, Copied, JobRef, PollResult, Watch
from activities.ports import Inputs, Jobs
from activities.running_jobs import delete_unserved, running
from activities.submissions import MAX_ATTEMPTS, Providers, Submissions
from domain.errors import NotFound
from domain.media import Job, Kind, MediaInput, Phase
from domain.uninterrupted import uninterrupted
from providers.base import MediaProvider, Progress, Stage
from storage.base import Storage


@dataclass(frozen=True, slots=True)
class Limits:
    max_output_bytes: int = 1 << 30
    max_outputs: int = 16
    sniffed_bytes: int = 4096
    submit_timeout: timedelta = timedelta(seconds=270)
    """Below the activity's start-to-close: when Temporal makes another attempt, this one is over."""
    max_moving: timedelta = timedelta(seconds=20)
    """After that, an attempt begins with no other route: the submission there must be over in time, too."""
    submit_lease: timedelta = timedelta(seconds=2)
    """From the look whether this attempt may submit to the moment in which the job leaves."""
    takeover_pause: timedelta = timedelta(seconds=3)
    """Longer than that: what an attempt before has sent is at its provider when this one asks there."""
    max_watch: timedelta = timedelta(seconds=5)
    """However patient the workflow is: an activity's slot is not there to wait in."""
    min_pause: timedelta = timedelta(seconds=0.5)
    """Between two looks at the provider, to begin with; they get rarer, down to one in `max_pause`."""
    min_absence: timedelta = timedelta(seconds=2)
    """Between two attempts to see news, to begin with. Later it is a fifth of the time since the last news …"""
    max_absence: timedelta = timedelta(minutes=1)
    """… up to this: so often is a provider asked that takes hours."""
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
        self._jobs, self._providers = jobs, providers
        self._outputs = OutputStore(files.storage, files.sniff, files.poster)
        self._limits = limits
        self._submissions = Submissions(jobs, providers, files.inputs, self._outputs, limits)

    @activity.defn
    async def submit(self, ref: JobRef) -> Accepted:
        """Hand the job to its provider, once, however often this is retried.

        The intent is recorded before, the provider's id right after. A retry that finds an intent without an id is in
        doubt and looks for the job under our reference; only a provider whose `find` knows every submission
        (`find_is_complete`) is asked again when there is none. With any other the job fails and its credits go back:
        at worst the operator pays for one job that nobody got, never for two. Outputs that come with the answer are
        stored first, and recorded together with the id. A provider that certainly did not accept the job leaves it to
        the next route.
        """
        with failures.translated(give_up_after=MAX_ATTEMPTS):
            async with heartbeating() as beat:
                return await uninterrupted(self._submitted(ref, beat))

    async def _submitted(self, ref: JobRef, beat: Beat) -> Accepted:
        job = await self._submissions.submit(ref.job_id, beat)
        # No vendor has a film at once: the wait for news begins with the first look.
        standing = PollResult(done=False) if job.kind is Kind.VIDEO and job.produced is None else None
        return Accepted(provider=job.provider, outputs=job.produced if ref.revision else None, standing=standing)

    @activity.defn
    async def poll(self, watch: Watch) -> PollResult:
        """Return the work's progress, after waiting up to `patience` for its end. Raises when the work has failed.

        With `known` it returns when there is news. An attempt without any raises `still_running`, and Temporal makes
        the next one: the wait of a long job takes no slot, no event of its history, and no decision of its workflow.
        """
        with failures.translated():
            async with heartbeating():
                job = await running(self._jobs, watch.job_id)
                if job.produced is not None:
                    return PollResult(done=True)
                progress = await self._look(job, min(watch.patience, self._limits.max_watch))
                if progress.stage in (Stage.FAILED, Stage.CANCELLED):
                    raise failures.at_provider(progress.failure)
                done = progress.stage is Stage.DONE
                standing = PollResult(done=done, percent=progress.percent, queued=progress.queued)
                if done or watch.known is None or standing.differs(watch.known):
                    return standing
                raise failures.still_running(self._absence())

    @activity.defn
    async def copy(self, ref: JobRef) -> Copied:
        """Copy the output into our storage. Keys are derived from the job: a second copy writes the same objects."""
        with failures.translated():
            async with heartbeating():
                job = await running(self._jobs, ref.job_id)
                if job.produced is not None:
                    return Copied(outputs=job.produced)
                provider, work = await self._at(job)
                await self._jobs.record_progress(job.id, None, Phase.COPYING)
                try:
                    return Copied(outputs=await self._outputs.keep(job, provider.fetch(work), self._limits))
                finally:
                    await uninterrupted(delete_unserved(self._jobs, self._outputs, job))

    @activity.defn
    async def cancel(self, ref: JobRef) -> CancelResult:
        """Ask the provider to stop, and wait briefly for its final state, which decides about the charge.

        One that cannot be stopped makes and bills the job, which goes on then: nobody has free work made by cancelling.
        """
        with failures.translated():
            async with heartbeating():
                job = await self._jobs.load(ref.job_id)
                if job.produced is not None:
                    return CancelResult(billed=True)
                provider, work = self._provider(job), await self._work(job)
                if work is None:
                    return CancelResult(billed=False)
                progress = await provider.cancel(work)
                goes_on = ref.revision > 0 and progress.unstoppable and progress.stage is Stage.RUNNING
                if goes_on and await self._is_wanted(job):
                    return CancelResult(billed=False, goes_on=True)
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
            await delete_unserved(self._jobs, self._outputs, job)
            work = await self._work(job)
            if work is not None:
                await self._provider(job).discard(work)

    async def _is_wanted(self, job: Job) -> bool:
        """Tell whether there is somebody to have the job: a purge waits for none."""
        try:
            await self._jobs.owned(job.account_id, job.id)
        except NotFound:
            return False
        return True

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

    def _absence(self) -> timedelta:
        info = activity.info()
        since = (info.current_attempt_scheduled_time - info.scheduled_time) / 5
        return min(max(since, self._limits.min_absence), self._limits.max_absence)

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
        return provider_job_id and await self._jobs.record_submitted(job, provider_job_id)

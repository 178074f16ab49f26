"""Brings a media job to a provider: once, to the first of its routes that accepts it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from temporalio import activity

from activities import failures
from activities.heartbeat import Beat
from activities.outputs import Bounds, OutputStore
from activities.ports import Inputs, Jobs
from activities.running_jobs import delete_unserved, running
from activities.submit_leases import Lease
from domain import route_errors
from domain.errors import (
    GatewayError,
    NotFound,
    RetentionDenied,
    ServiceUnavailable,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    where,
)
from domain.media import Job, MediaInput, MediaRequest, Output, State, SubmitIntent
from domain.uninterrupted import uninterrupted
from providers.base import MediaProvider, MediaSubmission, Submitted

T = TypeVar("T")

MAX_ATTEMPTS = 6
"""To a provider that is broken. One that is busy is asked until the deadline."""
BUSY_TIMEOUT, BUSY_ATTEMPTS = timedelta(seconds=10), 3
"""A job with another route waits no longer than this, and no more often, for a provider that is busy."""
NEXT_ROUTE_PAUSE = timedelta(seconds=1)
_RECORD_PAUSES = (0.2, 0.5, 1, 2, 5, 10, 10, 10)


class Providers(Protocol):
    def __call__(self, name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        """Return the provider of that name, to hand it the request if there is one.

        Raises `UpstreamError` for one that is not configured here: the next deploy may have it. Raises
        `RetentionDenied` if it keeps more of the request than the request allows.
        """


class SubmitLimits(Bounds, Protocol):
    @property
    def submit_timeout(self) -> timedelta: ...
    @property
    def max_moving(self) -> timedelta: ...
    @property
    def submit_lease(self) -> timedelta: ...
    @property
    def takeover_pause(self) -> timedelta: ...


class _NotAccepted(Exception):
    """It is certain that the provider did not accept the job."""

    def __init__(self, error: UpstreamError) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True, slots=True)
class Submissions:
    jobs: Jobs
    providers: Providers
    inputs: Inputs
    outputs: OutputStore
    limits: SubmitLimits

    async def submit(self, job_id: UUID, beat: Beat) -> Job:
        """Return the job as its provider has it. Routes take turns: each is tried once at most."""
        clock = asyncio.get_running_loop().time
        moves_until = clock() + self.limits.max_moving.total_seconds()
        job = await running(self.jobs, job_id)
        inputs = () if job.provider_job_id else await self.inputs.of(job_id)
        errors: list[UpstreamError] = []
        for _ in job.routes:
            try:
                return await self._submit_to(job, inputs, beat)
            except _NotAccepted as refused:
                errors.append(refused.error)
                if not _moves(refused.error):
                    raise route_errors.shown(errors) from None
                job = await self._moved(job, refused.error)
                if clock() > moves_until:
                    raise _in_the_next_attempt(errors) from None
        try:
            return await self._submit_to(job, inputs, beat)
        except _NotAccepted as refused:
            errors.append(refused.error)
            if job.routes and isinstance(refused.error, RetentionDenied):
                await self._moved(job, refused.error)
                raise _in_the_next_attempt(errors) from None
            raise route_errors.shown(errors) from None

    async def _moved(self, job: Job, error: UpstreamError) -> Job:
        """Go on to the next route. The one so far comes last, or never again if it keeps what it must not keep."""
        again = not isinstance(error, RetentionDenied)
        return await _recorded(lambda: self.jobs.change_route(job.id, job.provider, again=again))

    async def _submit_to(self, job: Job, inputs: tuple[MediaInput, ...], beat: Beat) -> Job:
        if job.provider_job_id is not None:
            return job
        if job.submit_intended_at is None:
            await self.outputs.require(job)
        request, provider = await self.jobs.request(job.id), self._provider(job)
        intent, complete = await self._intended(job), provider.find_is_complete
        if intent.again or complete:
            # Without an intent, too: Postgres may be a backup from before it was submitted.
            if intent.again and complete and beat.last is None:
                await asyncio.sleep(self.limits.takeover_pause.total_seconds())
            accepted = beat.last or await provider.find(str(job.id))
            if accepted is not None:
                await self._record(job, accepted)
                return await self.jobs.load(job.id)
            if not complete:
                raise failures.submission_in_doubt()
        if intent.unwanted:
            await self.jobs.end(job.id, State.CANCELLED, None)
            raise failures.job_ended()
        lease = Lease(self.jobs, job.id, intent, self.limits.submit_lease)
        return await self._handed_over(job, intent, MediaSubmission(request, str(job.id), inputs, lease), beat)

    async def _handed_over(self, job: Job, intent: SubmitIntent, submission: MediaSubmission, beat: Beat) -> Job:
        try:
            accepted, produced = await self._accepted(job, intent, submission, beat)
            await self._record(job, accepted, produced)
        except _NotAccepted:
            raise  # there is no output to delete
        except BaseException:
            with suppress(ServiceUnavailable):  # it must not replace the provider's error: others delete what is left
                await uninterrupted(delete_unserved(self.jobs, self.outputs, job))
            raise
        submitted = await uninterrupted(delete_unserved(self.jobs, self.outputs, job))
        if submitted is None:  # its workflow has cleaned up before the provider's id was known
            await self._take_back(job, accepted)
            raise failures.job_ended()
        return submitted

    async def _take_back(self, job: Job, accepted: str) -> None:
        """Stop and delete what nobody else knows that the provider has."""
        provider = self.providers(job.provider)
        await provider.cancel(accepted)
        await provider.discard(accepted)

    def _provider(self, job: Job) -> MediaProvider:
        try:
            return self.providers(job.provider)
        except UpstreamError as error:
            if job.submit_intended_at is not None:
                raise
            raise _NotAccepted(error) from None

    async def _intended(self, job: Job) -> SubmitIntent:
        try:
            return await self.jobs.intend_submit(job)
        except UpstreamBusy as error:  # its limits leave no place
            raise _NotAccepted(error) from None
        except NotFound:  # this worker was frozen, and the job's time was over meanwhile
            raise failures.job_ended() from None

    async def _accepted(
        self, job: Job, intent: SubmitIntent, submission: MediaSubmission, beat: Beat
    ) -> tuple[str, Sequence[Output] | None]:
        """Submit, and store what comes with the answer. Return the provider's id, and the outputs if there are any."""
        try:
            async with asyncio.timeout(self.limits.submit_timeout.total_seconds()):
                submitted = await self._submitted(job, intent, submission)
                if submitted.files is not None:
                    outputs = await self.outputs.keep(job, submitted.files, self.limits)
                    return submitted.provider_job_id, outputs
        except TimeoutError:
            raise UpstreamTimeout from None
        beat.note(submitted.provider_job_id)
        return submitted.provider_job_id, None

    async def _submitted(self, job: Job, intent: SubmitIntent, submission: MediaSubmission) -> Submitted:
        try:
            # Here, after the search: the work of an earlier attempt is not lost when the provider's class is lowered.
            return await self.providers(job.provider, submission.request).submit(submission)
        except UpstreamError as error:
            if isinstance(error, UpstreamRefused):
                # The end of the job. Its intent stays: the vendor may have worked, and no attempt that follows a lost
                # result may have it work again.
                raise _NotAccepted(error) from None
            if isinstance(error, UpstreamBusy) or error.not_accepted:
                await self._forget(job, intent)
                raise _NotAccepted(error) from None
            raise

    async def _forget(self, job: Job, intent: SubmitIntent) -> None:
        await _recorded(lambda: self.jobs.forget_submit(job, intent))

    async def _record(self, job: Job, accepted: str, produced: Sequence[Output] | None = None) -> None:
        """Store the provider's id."""
        try:
            recorded = await _recorded(lambda: self.jobs.record_submitted(job, accepted, produced))
        except NotFound:  # a purge has erased the job meanwhile
            await self._take_back(job, accepted)
            raise failures.job_ended() from None
        if recorded != accepted:  # another attempt got through as well: one of the two is enough
            activity.logger.error("a job was submitted twice; the second submission is cancelled")
            await self.providers(job.provider).cancel(accepted)


async def _recorded(write: Callable[[], Awaitable[T]]) -> T:
    """Write what a provider has answered. Only this attempt knows it, so it retries when the database fails."""
    for pause in _RECORD_PAUSES:
        try:
            return await write()
        except NotFound:
            raise
        except Exception as error:
            activity.logger.warning("a provider's answer to a submission not recorded yet: %s", where(error))
            await asyncio.sleep(pause)
    return await write()


def _in_the_next_attempt(errors: Sequence[UpstreamError]) -> GatewayError:
    """The next route gets an attempt of its own. The last attempt to broken providers ends with the error itself."""
    broken = not isinstance(errors[-1], RetentionDenied)  # that route is gone: another one may be busy alone
    last = broken and activity.info().attempt >= MAX_ATTEMPTS
    return route_errors.shown(errors) if last else UpstreamBusy(retry_after=NEXT_ROUTE_PAUSE)


def _moves(error: UpstreamError) -> bool:
    """Tell whether the next route is tried at once. What is wrong with the input is so at every provider."""
    if isinstance(error, UpstreamRefused):
        return False
    if isinstance(error, UpstreamBusy):
        patient = error.retry_after is None or error.retry_after <= BUSY_TIMEOUT
        return not patient or activity.info().attempt >= BUSY_ATTEMPTS
    return True

"""One media job, from its acceptance to its end. PostgreSQL holds its state; this workflow decides the next step."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from activities.bookkeeping import BookkeepingActivities
    from activities.failures import PUBLIC, STILL_RUNNING, job_ended
    from activities.media import MediaActivities
    from activities.payloads import (
        Accepted,
        Begun,
        CancelResult,
        Ended,
        Ending,
        JobRef,
        MediaResult,
        PollResult,
        Success,
        Watch,
    )
    from domain.media import GIVEN_BACK, INTERNAL_ERROR, TOO_LATE, JobError, Kind, Output, State
    from domain.uninterrupted import uninterrupted
    from temporal import attributes
    from workflows.options import (
        BOOKKEEPING,
        CANCELLING,
        CLEANUP,
        COPYING,
        ENDING,
        FIRST_WATCH,
        MAX_POLL_PAUSE,
        MIN_POLL_PAUSE,
        POLLING,
        SUBMITTING,
        about,
        within,
    )
    from workflows.saga import COMPENSATION_FAILED, Saga

call = workflow.execute_activity_method
REVISION = 1
"""Of `JobRef`: a change that acts on a new result of an activity takes the next number."""


@workflow.defn
class MediaWorkflow:
    """Submits the job, waits for the provider, copies the output and charges. Any other end releases the hold.

    It closes as Completed when the job succeeded or its caller cancelled it, as Failed when the job failed, and as
    Canceled when an operator cancelled the workflow.
    """

    @workflow.init
    def __init__(self, ref: JobRef) -> None:
        self._ref = ref.model_copy(update={"revision": REVISION})
        self._main: asyncio.Task[object] | None = None
        self._begun: Begun | None = None
        self._state: State | None = None
        """The final state that PostgreSQL recorded."""
        self._cancel_requested = False
        self._at_provider = False
        self._provider_cancel_sent = False
        self._lost = False
        self._step = ""
        self._since = workflow.now()

    @workflow.run
    async def run(self, _ref: JobRef) -> MediaResult:
        self._main = asyncio.current_task()
        error = await self._to_its_end()
        self._show(_end_of(self._state, error))
        await uninterrupted(workflow.wait_condition(workflow.all_handlers_finished))
        if error is None or self._state is State.SUCCEEDED:
            return self._result()
        by_operator = is_cancelled_exception(error) and workflow.cancellation_reason() is not None
        if by_operator or self._lost:
            raise error
        why = _why(error)
        if why is None or self._state is State.CANCELLED:
            return self._result()
        raise ApplicationError(why.message, type=why.code, non_retryable=True) from error

    @workflow.update
    async def request_cancel(self) -> MediaResult:
        """Cancel the job for its caller. The result tells how it ended: `succeeded` if the provider was faster."""
        self._cancel_requested = True
        if self._main is not None:
            self._main.cancel()
        await workflow.wait_condition(lambda: self._state is not None or self._lost)
        return self._result()

    async def _to_its_end(self) -> BaseException | None:
        """Run the job to a final state. Return the failure or cancellation that ended it early, if one did.

        `_lost` is set when the job could not be ended.
        """
        try:
            async with Saga() as saga:
                saga.on_failure(self._clean_up)
                saga.on_failure(self._end)
                await self._make()
                saga.complete()
        except (asyncio.CancelledError, FailureError) as error:
            self._lost = self._state is None or getattr(error, "type", None) == COMPENSATION_FAILED
            return error
        if self._at_provider:
            await uninterrupted(self._discard_at_leisure())
        return None

    async def _make(self) -> None:
        self._stop_if_requested()
        self._begun = await call(BookkeepingActivities.begin, self._ref, **about("mark as running", BOOKKEEPING))
        if self._begun.state.terminal:
            self._state = self._begun.state
            if workflow.patched("2026-11-30-note-an-early-end"):
                self._note(self._state)
            return
        self._at_provider = self._begun.submitted
        self._note(self._begun.state)
        outputs = None
        try:
            accepted = await self._submit()
            outputs = accepted.outputs
            if outputs is None:
                await self._watch(accepted.standing)
        except (asyncio.CancelledError, ActivityError) as error:
            if not is_cancelled_exception(error) or not await uninterrupted(self._is_billed()):
                raise
        # The provider has finished and bills: from here on a cancellation changes nothing.
        await uninterrupted(self._keep(outputs))

    async def _submit(self) -> Accepted:
        """Outputs that came with the provider's answer are neither waited for nor fetched."""
        self._show(f"Submitting to provider {self._begun_job.provider}")
        left = self._left()
        self._at_provider = True
        accepted = await call(MediaActivities.submit, self._ref, **self._about(within(left, SUBMITTING)))
        if accepted is not None and accepted.provider != self._begun_job.provider:
            self._begun = self._begun_job.model_copy(update={"provider": accepted.provider})
            workflow.upsert_search_attributes([attributes.PROVIDER.value_set(accepted.provider)])
        self._stop_if_requested()
        return accepted or Accepted(provider=self._begun_job.provider)  # of an older worker

    async def _watch(self, known: PollResult | None) -> None:
        patience = timedelta(0) if self._begun_job.kind is Kind.VIDEO else FIRST_WATCH
        watch, pause = Watch(job_id=self._ref.job_id, patience=patience, known=known), MIN_POLL_PAUSE
        self._show(f"Polling provider {self._begun_job.provider}")
        while True:
            standing = await self._polled(watch)
            if standing.done:
                return
            percent = "" if standing.percent is None else f", {standing.percent} %"
            queued = ", in its queue" if standing.queued else ""
            self._show(f"Polling provider {self._begun_job.provider}", f"{queued}{percent}")
            await workflow.sleep(min(pause, self._left()), summary="until the next poll")
            watch, pause = Watch(job_id=self._ref.job_id, known=standing), min(pause * 1.5, MAX_POLL_PAUSE)

    async def _polled(self, watch: Watch) -> PollResult:
        try:
            return await call(MediaActivities.poll, watch, **self._about(within(self._left(), POLLING)))
        except ActivityError as error:
            if watch.known is None or getattr(error.cause, "type", None) != STILL_RUNNING:
                raise
            return watch.known  # its next attempt would come after the deadline: look once more before that

    async def _is_billed(self) -> bool:
        """Ask the provider to stop. Return True when it has finished all the same: then the output is charged.

        One that cannot be stopped is waited for. False when it has stopped, and when it cannot be asked.
        """
        answer = await self._cancel_there()
        if answer.goes_on:
            await self._watch(None)
        return answer.billed or answer.goes_on

    async def _cancel_there(self) -> CancelResult:
        self._provider_cancel_sent = True
        if not self._at_provider:
            return CancelResult(billed=False)
        self._show(f"Cancelling at provider {self._begun_job.provider}")
        try:
            return await call(MediaActivities.cancel, self._ref, **self._about(CANCELLING, "ask to stop"))
        except ActivityError:
            return CancelResult(billed=False)

    async def _keep(self, outputs: tuple[Output, ...] | None) -> None:
        if outputs is None:
            self._show("Copying the output")
            copied = await call(MediaActivities.copy, self._ref, **self._about(within(self._left(), COPYING)))
            outputs = tuple(copied.outputs)
        success = Success(job_id=self._ref.job_id, outputs=outputs)
        number = "1 output" if len(outputs) == 1 else f"{len(outputs)} outputs"
        ended = await call(BookkeepingActivities.succeed, success, **about(f"charge for {number}", ENDING))
        if ended.state is not State.SUCCEEDED:
            raise job_ended()
        self._ended(ended)

    async def _end(self, error: BaseException) -> None:
        why = _why(error)
        state = State.FAILED if why else State.CANCELLED
        ending = Ending(job_id=self._ref.job_id, state=state, error=why)
        summary = f"give the credits back: {why.code if why else 'cancelled'}"
        self._ended(await call(BookkeepingActivities.end, ending, **about(summary, ENDING)))

    async def _clean_up(self, _error: BaseException) -> None:
        """Stop the provider and delete the output there and in our storage. Runs after the hold was released."""
        if not self._at_provider:
            return
        if not self._provider_cancel_sent and self._state is not State.SUCCEEDED:
            await self._cancel_there()
        await call(MediaActivities.discard, self._ref, **self._about(CLEANUP, "delete its files"))

    async def _discard_at_leisure(self) -> None:
        try:
            await call(MediaActivities.discard, self._ref, **self._about(CLEANUP, "delete its files"))
        except ActivityError:
            workflow.logger.warning("the provider keeps a copy of what it made")

    def _left(self) -> timedelta:
        left = self._begun_job.deadline - workflow.now()
        if left <= timedelta(0):
            raise ApplicationError(TOO_LATE.message, type=TOO_LATE.code, non_retryable=True)
        return left

    def _stop_if_requested(self) -> None:
        """Raise the cancellation again: a step that completes in spite of one does not raise it."""
        if self._cancel_requested or workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError

    def _ended(self, ended: Ended) -> None:
        self._state = ended.state
        self._note(ended.state)

    def _note(self, state: State) -> None:
        workflow.upsert_search_attributes([attributes.STATE.value_set(state.value)])

    def _show(self, step: str, progress: str | None = None) -> None:
        """Tell the operator, who sees it in Temporal's UI, what happens, since when, and when the provider answered."""
        if step != self._step:
            self._step, self._since = step, workflow.now()
        news = "" if progress is None else f". The provider last answered at {_time(workflow.now())}"
        workflow.set_current_details(f"{step}{progress or ''}\n\nSince {_time(self._since)}{news}")

    def _about(self, kind: ActivityConfig, what: str = "") -> ActivityConfig:
        """Add whom the activity concerns: names of the catalog only."""
        return about(f"{self._begun_job.provider}: {what or self._begun_job.model}", kind)

    def _result(self) -> MediaResult:
        if self._state is None:
            raise ApplicationError("The job could not be ended.", type=COMPENSATION_FAILED, non_retryable=True)
        return MediaResult(job_id=self._ref.job_id, state=self._state)

    @property
    def _begun_job(self) -> Begun:
        assert self._begun is not None  # noqa: S101
        return self._begun


def _why(error: BaseException) -> JobError | None:
    """Return the error that the caller is shown, or None for a cancellation."""
    if is_cancelled_exception(error):
        return None
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError) and cause.type in PUBLIC:
        return JobError(code=cause.type, message=cause.message)
    if isinstance(cause, TimeoutError):
        return TOO_LATE
    return INTERNAL_ERROR


def _end_of(state: State | None, error: BaseException | None) -> str:
    """What an operator reads of a run that has ended: how, why, and what became of the credits."""
    if state is None:
        return "This run could not end the job. Maintenance ends it within minutes, and its credits go back"
    if state is State.SUCCEEDED:
        return "The job succeeded, and its price was charged"
    if state is State.CANCELLED:
        return "The job was cancelled. Its credits went back"
    why = _why(error) if error is not None else None
    reason = "." if why is None else f" with {why.code}: {why.message.removesuffix(GIVEN_BACK)}"
    return f"The job failed{reason} Its credits went back"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

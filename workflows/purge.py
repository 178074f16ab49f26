"""The erasure of an account, or of one thing of it. Forward only: every step is repeated until it is done.

The workflow has ids alone. What there is to erase, and how far that is, PostgreSQL knows.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.payloads import Purged, PurgeState, PurgeStep
    from activities.purge import PurgeActivities
    from workflows.options import ERASING

call = workflow.execute_activity_method
PAUSE = timedelta(seconds=1)
"""Between two looks at what ends, or is deleted, some time after it was told to."""
MAX_PAUSE = timedelta(seconds=10)
SHOWN = {
    PurgeStep.CUT: "Step 1 of 3: ending calls and jobs, and destroying the keys",
    PurgeStep.MEDIA: "Step 2 of 3: deleting files of jobs, and their workflows",
    PurgeStep.ROWS: "Step 3 of 3: deleting rows",
}
"""What an operator reads in Temporal's UI. A step is repeated until it is done."""


@workflow.defn
class PurgeWorkflow:
    """Ends what runs, destroys the keys, deletes objects, histories and rows, rolls the ledger up, counts, and signs.

    The fence came before it, in the transaction of the request. It cannot be cancelled for long: an accepted purge that
    no workflow works on is started again.
    """

    @workflow.init
    def __init__(self, state: PurgeState) -> None:
        self._state = state

    @workflow.run
    async def run(self, state: PurgeState) -> Purged:
        workflow.set_current_details(SHOWN[state.step])
        if state.step is PurgeStep.CUT:
            await self._wait_for_the_cut()
            await call(PurgeActivities.count_before_purge, state.ref, **ERASING)
            await call(PurgeActivities.destroy_keys, state.ref, **ERASING)
            self._enter(PurgeStep.MEDIA)
        while True:
            if self._state.step is PurgeStep.MEDIA:
                await self._delete_media()
            if self._state.step is PurgeStep.ROWS:
                await self._delete_rows()
            if (await call(PurgeActivities.conclude_purge, state.ref, **ERASING)).done:
                workflow.set_current_details("All is erased, and the receipt is signed")
                return Purged(purge_id=state.purge_id)
            self._enter(PurgeStep.MEDIA)  # something came in between: once more
            await workflow.sleep(PAUSE)

    async def _wait_for_the_cut(self) -> None:
        pause = PAUSE
        while not (await call(PurgeActivities.cut_calls, self._state.ref, **ERASING)).done:
            await workflow.sleep(pause)
            pause = min(pause * 1.5, MAX_PAUSE)
            self._begin_anew_if_long()

    async def _delete_media(self) -> None:
        pause = PAUSE
        while True:
            deleted = await call(PurgeActivities.delete_media, self._state, **ERASING)
            self._enter(PurgeStep.MEDIA, deleted.after)
            if deleted.after is None:
                if (await call(PurgeActivities.is_media_left, self._state.ref, **ERASING)).done:
                    break
                await workflow.sleep(pause)
                pause = min(pause * 1.5, MAX_PAUSE)
        self._enter(PurgeStep.ROWS)

    async def _delete_rows(self) -> None:
        while not (await call(PurgeActivities.delete_rows, self._state.ref, **ERASING)).done:
            self._begin_anew_if_long()
        while not (await call(PurgeActivities.roll_up_calls, self._state.ref, **ERASING)).done:
            self._begin_anew_if_long()

    def _enter(self, step: PurgeStep, after: object = None) -> None:
        self._state = self._state.model_copy(update={"step": step, "after": after})
        workflow.set_current_details(SHOWN[step])
        self._begin_anew_if_long()

    def _begin_anew_if_long(self) -> None:
        if workflow.info().is_continue_as_new_suggested():
            workflow.continue_as_new(self._state)

"""The steps of a purge, as activities. What they do is in `gateway/erasure_steps.py`. Each is safe to do twice."""

from temporalio import activity

from activities import failures
from activities.payloads import DeletedMedia, PurgeRef, PurgeState, StepDone
from activities.ports import Erasing


class PurgeActivities:
    def __init__(self, steps: Erasing) -> None:
        self._steps = steps

    @activity.defn
    async def cut_calls(self, ref: PurgeRef) -> StepDone:
        """End what runs. Done when nothing does."""
        with failures.translated(retried=True):
            return StepDone(done=not await self._steps.cut(ref.purge_id))

    @activity.defn
    async def count_before_purge(self, ref: PurgeRef) -> None:
        with failures.translated(retried=True):
            await self._steps.survey(ref.purge_id)

    @activity.defn
    async def destroy_keys(self, ref: PurgeRef) -> None:
        with failures.translated(retried=True):
            await self._steps.shred(ref.purge_id)

    @activity.defn
    async def delete_media(self, state: PurgeState) -> DeletedMedia:
        """Delete one page of objects and histories."""
        with failures.translated(retried=True):
            deleted = await self._steps.delete_media(state.purge_id, state.after)
            return DeletedMedia(after=deleted.after)

    @activity.defn
    async def is_media_left(self, ref: PurgeRef) -> StepDone:
        with failures.translated(retried=True):
            return StepDone(done=not await self._steps.media_left(ref.purge_id))

    @activity.defn
    async def delete_rows(self, ref: PurgeRef) -> StepDone:
        with failures.translated(retried=True):
            return StepDone(done=await self._steps.delete_rows(ref.purge_id))

    @activity.defn
    async def roll_up_calls(self, ref: PurgeRef) -> StepDone:
        with failures.translated(retried=True):
            return StepDone(done=await self._steps.roll_up(ref.purge_id))

    @activity.defn
    async def conclude_purge(self, ref: PurgeRef) -> StepDone:
        """Count again, and sign the receipt. Not done when something is left."""
        with failures.translated(retried=True):
            return StepDone(done=await self._steps.conclude(ref.purge_id))

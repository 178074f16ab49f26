"""What nobody else does for a hold whose owner died, by Temporal's schedule. The API does the same in a loop."""

from temporalio import activity

from activities import failures
from activities.payloads import Counted
from activities.ports import Forgetting, Sweeping


class HoldActivities:
    def __init__(self, sweeper: Sweeping, pruning: Forgetting) -> None:
        self._sweeper, self._pruning = sweeper, pruning

    @activity.defn
    async def sweep_holds(self) -> Counted:
        """End every hold whose lease has run out, a batch after the other."""
        swept = 0
        with failures.translated():
            while ended := await self._sweeper.sweep():
                swept += ended
        return Counted(count=swept)

    @activity.defn
    async def forget_expired(self) -> Counted:
        """A round of it: what is left, the next one finds."""
        with failures.translated():
            return Counted(count=await self._pruning.forget())

"""The monthly credits of plans, as activities. What they do is in `gateway/plans.py`."""

from temporalio import activity

from activities import failures
from activities.payloads import GrantBatch, GrantBegin, GrantCursor, RowCount
from activities.ports import GivingPlans


class GrantActivities:
    """Each is safe to do twice: what one leaves, the next one finds."""

    def __init__(self, plans: GivingPlans) -> None:
        self._plans = plans

    @activity.defn
    async def grant_plans(self, begin: GrantBegin) -> GrantBatch:
        """Give what is due to one batch of accounts."""
        with failures.translated():
            batch = await self._plans.give((begin.after.at, begin.after.term_id) if begin.after else None)
        after = GrantCursor(at=batch.after[0], term_id=batch.after[1]) if batch.after else None
        return GrantBatch(given=batch.given, after=after)

    @activity.defn
    async def collect_returned(self) -> RowCount:
        """Take what accounts owe of payments that went back."""
        with failures.translated():
            return RowCount(count=await self._plans.collect())

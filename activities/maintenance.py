"""The rounds of maintenance as activities of Temporal's schedule. What they do is in `gateway/` and `db/`."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities import failures
from activities.payloads import JobCount, RowCount
from activities.ports import DeletingOutputs, Maintaining, Pruning, Sweeping


class MaintenanceActivities:
    """Each is a round, safe to do twice: what one leaves, the next one finds."""

    def __init__(self, maintenance: Maintaining, sweeper: Sweeping, pruning: Pruning, outputs: DeletingOutputs) -> None:
        self._maintenance, self._sweeper, self._pruning = maintenance, sweeper, pruning
        self._outputs = outputs

    @activity.defn
    async def start_orphans(self) -> JobCount:
        with failures.translated():
            jobs = await self._maintenance.start_orphans()
            return JobCount(jobs=jobs + await self._maintenance.start_deliveries())

    @activity.defn
    async def recover(self) -> JobCount:
        return await _jobs(self._maintenance.recover)

    @activity.defn
    async def reconcile(self) -> JobCount:
        return await _jobs(self._maintenance.reconcile)

    @activity.defn
    async def delete_expired_outputs(self) -> JobCount:
        return await _jobs(self._outputs.delete_expired)

    @activity.defn
    async def delete_orphaned_outputs(self) -> JobCount:
        return await _jobs(self._outputs.delete_orphans)

    @activity.defn
    async def sweep_holds(self) -> RowCount:
        """End every hold whose lease has run out, a batch after the other."""
        swept = 0
        with failures.translated():
            while ended := await self._sweeper.sweep():
                swept += ended
        return RowCount(count=swept)

    @activity.defn
    async def forget_expired(self) -> RowCount:
        with failures.translated():
            return RowCount(count=await self._pruning.forget())


async def _jobs(task: Callable[[], Awaitable[int]]) -> JobCount:
    with failures.translated():
        return JobCount(jobs=await task())

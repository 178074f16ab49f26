"""Once a minute: end expired holds, start and close jobs that were left behind, delete what has expired.

One API process at a time runs the same tasks in a loop (`api/background.py`): they go on without Temporal or without
a worker.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import MaintenanceActivities
    from activities.payloads import JobCount, Maintained, RowCount
    from workflows.options import MAINTENANCE, SWEEPING
    from workflows.schedules import ensure

SCHEDULE_ID = "yout-maintenance"
EVERY = timedelta(minutes=1)
MAX_ROUND = timedelta(minutes=10)

call = workflow.execute_activity_method


@workflow.defn
class MaintenanceWorkflow:
    """Runs one round. A round keeps no state: the next one finds what this one left."""

    @workflow.run
    async def run(self) -> Maintained:
        if workflow.patched("2026-11-28-side-by-side"):
            return await self._side_by_side()
        swept = forgotten = recovered = None
        if workflow.patched("2026-11-27-sweep"):
            swept = await self._count(call(MaintenanceActivities.sweep_holds, **SWEEPING))
            forgotten = await self._count(call(MaintenanceActivities.forget_expired, **SWEEPING))
            recovered = await self._count(call(MaintenanceActivities.recover, **SWEEPING))
        return Maintained(
            started=await self._count(call(MaintenanceActivities.start_orphans, **SWEEPING)),
            closed=await self._count(call(MaintenanceActivities.reconcile, **SWEEPING)),
            swept=swept,
            forgotten=forgotten,
            recovered=recovered,
        )

    async def _side_by_side(self) -> Maintained:
        """Run all tasks at once: one that is slow or fails does not delay the others."""
        started, closed, swept, forgotten, recovered, expired, orphaned = await asyncio.gather(
            self._count(call(MaintenanceActivities.start_orphans, **SWEEPING)),
            self._count(call(MaintenanceActivities.reconcile, **SWEEPING)),
            self._count(call(MaintenanceActivities.sweep_holds, **SWEEPING)),
            self._count(call(MaintenanceActivities.forget_expired, **SWEEPING)),
            self._count(call(MaintenanceActivities.recover, **SWEEPING)),
            self._count(call(MaintenanceActivities.delete_expired_outputs, **SWEEPING)),
            self._count(call(MaintenanceActivities.delete_orphaned_outputs, **SWEEPING)),
        )
        return Maintained(
            started=started,
            closed=closed,
            swept=swept,
            forgotten=forgotten,
            recovered=recovered,
            expired=expired,
            orphaned=orphaned,
        )

    async def _count(self, part: Awaitable[JobCount] | Awaitable[RowCount]) -> int | None:
        """Return how many rows or jobs the task handled, or None when it failed."""
        try:
            done = await part
        except ActivityError:
            return None
        return done.jobs if isinstance(done, JobCount) else done.count


async def ensure_schedules(client: Client, *, every: timedelta = EVERY) -> None:
    """Create the schedule, or bring it up to date. Safe to do twice, and from several processes."""
    action = ScheduleActionStartWorkflow(
        MaintenanceWorkflow.run, id=SCHEDULE_ID, task_queue=MAINTENANCE, execution_timeout=MAX_ROUND
    )
    await ensure(client, SCHEDULE_ID, action, every=every)

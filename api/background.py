"""Runs the maintenance tasks in a loop beside the API.

Every process runs the loop; an advisory lock lets one at a time act. A Temporal Schedule runs the same tasks
(`workflows/maintenance.py`): they go on while either side is down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from db.leadership import Leadership
from domain.rounds import MaintenanceErrors

PAUSE = timedelta(seconds=3)
MAX_ROUND = timedelta(seconds=60)
MAINTENANCE_LOCK = 7_206_156


@dataclass(frozen=True, slots=True)
class MaintenanceTask:
    """A task of which one round is run at a time. A round is idempotent, and may be cancelled at any point."""

    name: str
    run: Callable[[], Awaitable[object]]
    every: timedelta = PAUSE


async def run(leadership: Leadership, tasks: Sequence[MaintenanceTask], errors: MaintenanceErrors) -> None:
    """Run the tasks without end, whenever this process leads. They run side by side, so none delays another."""
    clock = asyncio.get_running_loop().time
    due = {task.name: clock() for task in tasks}
    running: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            await asyncio.sleep(PAUSE.total_seconds())
            if not await _leads(leadership, errors):
                continue
            for task in tasks:
                if clock() >= due[task.name] and (task.name not in running or running[task.name].done()):
                    due[task.name] = clock() + task.every.total_seconds()
                    running[task.name] = asyncio.create_task(_attempt(task, errors), name=task.name)
    finally:
        for under_way in running.values():
            under_way.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        await leadership.release()


async def _leads(leadership: Leadership, errors: MaintenanceErrors) -> bool:
    try:
        leads = await leadership.held()
    except Exception as error:  # nothing else would start the loop again
        errors.failed("leadership", "round", error)
        await leadership.release()
        return False
    errors.succeeded("leadership", "round")
    return leads


async def _attempt(task: MaintenanceTask, errors: MaintenanceErrors) -> None:
    try:
        async with asyncio.timeout(MAX_ROUND.total_seconds()):
            await task.run()
    except Exception as error:  # a task that fails must not end the others
        errors.failed(task.name, "round", error)
    else:
        errors.succeeded(task.name, "round")

"""What waits in Temporal's task queues, by queue: workers may serve decisions and activities apart."""

from collections.abc import Sequence
from datetime import timedelta

from domain.task_queues import Backlog, Tasks
from workflows.options import ACTIVITIES_ALONE

LATE = timedelta(minutes=1)
"""A task that has waited for so long has no worker that is free for it."""
_NAMES = {Tasks.WORKFLOW: "decisions", Tasks.ACTIVITY: "activities"}


def by_queue(backlogs: Sequence[Backlog]) -> dict[str, list[Backlog]]:
    """Return the lists of tasks that somebody has to serve."""
    queues: dict[str, list[Backlog]] = {}
    for one in backlogs:
        if one.tasks is not Tasks.WORKFLOW or one.queue not in ACTIVITIES_ALONE:
            queues.setdefault(one.queue, []).append(one)
    return queues


def unserved(backlogs: Sequence[Backlog]) -> list[str]:
    """Name what no worker asks for: a queue, or one of its lists."""
    named = []
    for queue, both in sorted(by_queue(backlogs).items()):
        idle = [one for one in both if not one.workers]
        if len(idle) == len(both):
            named.append(queue)
        else:
            named += [f"{queue} ({_NAMES[one.tasks]})" for one in idle]
    return named


def late(backlogs: Sequence[Backlog]) -> list[Backlog]:
    """Return, the oldest first, what has waited for long though a worker was there minutes ago."""
    waiting = [one for one in backlogs if one.workers and one.waiting and one.age >= LATE]
    return sorted(waiting, key=lambda one: one.age, reverse=True)

"""What waits in the task queues of Temporal."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Tasks(StrEnum):
    """A queue has two lists of tasks, which workers may serve apart."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"


@dataclass(frozen=True, slots=True)
class Backlog:
    queue: str
    tasks: Tasks
    waiting: int
    """Tasks that no worker has taken. Those that wait for their next attempt are not among them."""
    age: timedelta
    """Of the oldest of them."""
    workers: int
    """Processes that have asked for tasks within the last minutes."""

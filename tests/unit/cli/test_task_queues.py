"""What `yout doctor` and `yout status` say of task queues: decisions and activities have workers of their own."""

from datetime import timedelta

from cli.checks import temporal as checks
from cli.checks.finding import Level
from cli.task_queues import by_queue, late, unserved
from domain.task_queues import Backlog, Tasks
from fleets import DECISIONS
from workflows.options import ACTIVITIES_ALONE, LEDGER, QUEUES, WEBHOOKS


def _backlogs(*idle: tuple[str, Tasks], waiting: int = 0, age: timedelta = timedelta()) -> list[Backlog]:
    """Of all queues; what is idle has tasks that wait."""
    return [
        Backlog(queue, tasks, waiting if (queue, tasks) in idle else 0, age, 0 if (queue, tasks) in idle else 2)
        for queue in QUEUES
        for tasks in Tasks
    ]


def test_a_queue_is_served_when_both_its_lists_are() -> None:
    assert unserved(_backlogs()) == []
    assert unserved(_backlogs((WEBHOOKS, Tasks.ACTIVITY))) == ["webhooks (activities)"]
    assert unserved(_backlogs((WEBHOOKS, Tasks.WORKFLOW))) == ["webhooks (decisions)"]
    assert unserved(_backlogs((WEBHOOKS, Tasks.WORKFLOW), (WEBHOOKS, Tasks.ACTIVITY))) == ["webhooks"]


def test_where_nothing_is_decided_nobody_has_to_decide() -> None:
    assert set(QUEUES) - set(DECISIONS) == set(ACTIVITIES_ALONE)
    assert unserved(_backlogs((LEDGER, Tasks.WORKFLOW))) == []
    assert unserved(_backlogs((LEDGER, Tasks.ACTIVITY))) == [LEDGER]
    assert [one.tasks for one in by_queue(_backlogs())[LEDGER]] == [Tasks.ACTIVITY]


def test_what_waits_though_its_workers_were_there_minutes_ago() -> None:
    """Temporal names workers for minutes after their last poll."""
    served = [Backlog(LEDGER, Tasks.ACTIVITY, 54, timedelta(minutes=3), 1)]
    assert late(served) == served
    assert late([Backlog(LEDGER, Tasks.ACTIVITY, 54, timedelta(seconds=30), 1)]) == []
    assert late([Backlog(LEDGER, Tasks.ACTIVITY, 0, timedelta(minutes=3), 1)]) == []
    finding = checks.of_queues(served)
    assert [(one.level, one.what) for one in finding] == [
        (Level.WARN, "tasks wait in ledger: 54, the oldest for 3 min"),
    ]


def test_all_is_well() -> None:
    assert [one.level for one in checks.of_queues(_backlogs())] == [Level.OK]

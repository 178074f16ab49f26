"""Task queues, and the timeouts and retry policies of each kind of activity."""

from datetime import timedelta

from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from domain.media import Kind

LEDGER = "ledger"
MAINTENANCE = "maintenance"
PURGE = "purge"
WEBHOOKS = "webhooks"


def media_queue(kind: Kind) -> str:
    """One queue per modality: their fleets scale apart."""
    return f"media-{kind.value}"


MEDIA_QUEUES = tuple(media_queue(kind) for kind in Kind)
QUEUES = (*MEDIA_QUEUES, LEDGER, MAINTENANCE, PURGE, WEBHOOKS)
ACTIVITIES_ALONE = (LEDGER,)
"""Queues in which nothing is decided."""

_HEARTBEAT = timedelta(seconds=8)
"""Another worker takes over this long after one was killed. Heartbeats come every two seconds: three may get lost."""

BOOKKEEPING = ActivityConfig(
    task_queue=LEDGER,
    # Longer than the database's statement timeout (10 s), which so comes first; and no longer than a job may wait
    # for a worker that was killed.
    start_to_close_timeout=timedelta(seconds=12),
    # No limit: the database comes back, and a bug is fixed by a deploy. Page on the attempt count. Pauses are short: a
    # job that is done waits for its charge.
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
)
ENDING = ActivityConfig(**BOOKKEEPING, priority=Priority(priority_key=1))
"""Jobs end before others begin: in a long queue an end would else wait behind all of them."""

# `within` limits the next three to the time that is left until the job's deadline.
SUBMITTING = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=_HEARTBEAT,
    # The result of a submission must be known before anything is undone.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=1)),
)
POLLING = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
)
COPYING = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
)

CANCELLING = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),
    schedule_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=_HEARTBEAT,
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
)
CLEANUP = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),
    schedule_to_close_timeout=timedelta(minutes=5),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)
SWEEPING = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    retry_policy=RetryPolicy(maximum_attempts=2),
)
ERASING = ActivityConfig(
    task_queue=PURGE,
    # A step works for 20 s and then returns; a batch is bounded by the database's statement timeout.
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=_HEARTBEAT,
    # No limit: what was promised is done, however long something is away.
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)
DELIVERING = ActivityConfig(
    task_queue=WEBHOOKS,
    # A request of 15 s and two transactions. A worker that was killed is noticed after this.
    start_to_close_timeout=timedelta(seconds=45),
    # No limit: the database comes back. The attempts themselves are counted in it.
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)
GRANTING = ActivityConfig(
    # A batch of accounts. What one attempt leaves, the next one or the next round finds.
    start_to_close_timeout=timedelta(minutes=10),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_attempts=5),
)
AUDITING = ActivityConfig(
    start_to_close_timeout=timedelta(hours=1),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_attempts=5),
)


def within(left: timedelta, kind: ActivityConfig) -> ActivityConfig:
    bounded = kind.copy()
    bounded["schedule_to_close_timeout"] = left
    return bounded


def about(summary: str, kind: ActivityConfig) -> ActivityConfig:
    """Add what Temporal's UI shows of the activity. It is encrypted as payloads are."""
    labelled = kind.copy()
    labelled["summary"] = summary
    return labelled


FIRST_WATCH = timedelta(seconds=5)
"""Many images and much speech are done in this time, so one activity polls for all of it. No video is. The later polls
are attempts of one activity, until there is news: a provider that works for an hour adds nothing to the history."""
MIN_POLL_PAUSE, MAX_POLL_PAUSE = timedelta(seconds=2), timedelta(seconds=20)
"""After news."""

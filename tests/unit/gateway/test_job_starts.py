"""Workflows start after the answer: accounts in turn, in bounds, and nothing is lost that the rows do not have."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from domain.errors import NotFound
from domain.media import Job, State
from gateway.job_starts import (
    AT_ONCE,
    FRESH_AGE,
    LANES,
    MAX_AGE,
    MAX_WAITING,
    MAX_WAITING_IN_LANE,
    REJOIN_AGE,
    JobStarts,
    RecentStarts,
)
from tests.support.queued_job import queued_job

PATIENCE = timedelta(seconds=30)
SECRET = "what-a-user-wrote"


def accepted(account: UUID, number: int = 0, *, age: timedelta = timedelta()) -> Job:
    """Jobs with following numbers are of different lanes."""
    return queued_job(account, UUID(int=uuid4().int // LANES * LANES + number % LANES), age=age)


class Temporal:
    """Starts nothing before it is told to."""

    def __init__(self) -> None:
        self.begun: list[Job] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.answer = True
        self.ended: dict[UUID, State | None] = {}
        """Jobs that have ended meanwhile; None: a purge has erased them."""

    async def owned(self, _account_id: UUID, job_id: UUID) -> Job:
        state = self.ended.get(job_id, State.QUEUED)
        if state is None:
            raise NotFound
        return accepted(uuid4()).model_copy(update={"state": state})

    async def start(self, job: Job) -> bool:
        self.begun.append(job)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def temporal() -> Temporal:
    return Temporal()


@pytest.fixture
def starts(temporal: Temporal) -> JobStarts:
    return JobStarts(temporal.start, temporal.owned)


@pytest.fixture
def recent(starts: JobStarts) -> RecentStarts:
    return starts.recent


async def settled() -> None:
    """All tasks have gone as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_account_with_hundreds_of_jobs_leaves_places_to_others(temporal: Temporal, starts: JobStarts) -> None:
    flood, other = uuid4(), uuid4()
    for number in range(300):
        starts.add(accepted(flood, number))
    await settled()
    starts.add(accepted(other))
    await settled()
    assert [job.account_id for job in temporal.begun] == [*[flood] * LANES, other]
    temporal.gate.set()
    await starts.close(PATIENCE)
    assert len({job.id for job in temporal.begun}) == 301


async def test_many_accounts_share_the_places(temporal: Temporal, starts: JobStarts) -> None:
    accounts = [uuid4() for _ in range(AT_ONCE)]
    for account in accounts:
        for number in range(LANES * 2):
            starts.add(accepted(account, number))
    await settled()
    assert len(temporal.begun) == AT_ONCE
    temporal.gate.set()
    await starts.close(PATIENCE)
    assert len(temporal.begun) == AT_ONCE * LANES * 2


async def test_what_has_no_place_is_left_to_the_orphan_starter(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    flood, room = uuid4(), (MAX_WAITING_IN_LANE + 1) * LANES
    with capture_logs() as lines:
        for number in range(room + 20):
            starts.add(accepted(flood, number))
        await settled()
    assert len(recent.ids()) == room
    assert [line["log_level"] for line in lines] == ["warning"]
    starts.add(accepted(uuid4()))
    temporal.gate.set()
    await starts.close(PATIENCE)
    assert len(temporal.begun) == len(recent.ids()) == room + 1


async def test_there_is_an_end_to_what_waits(starts: JobStarts, temporal: Temporal, recent: RecentStarts) -> None:
    for _ in range(MAX_WAITING + 10):
        starts.add(accepted(uuid4()))
    assert len(recent.ids()) == MAX_WAITING
    temporal.gate.set()
    await starts.close(PATIENCE)
    assert len(temporal.begun) == MAX_WAITING


@pytest.mark.parametrize("error", [None, RuntimeError(SECRET)], ids=["away", "fault"])
async def test_a_start_that_fails_is_the_orphan_starters(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts, error: Exception | None
) -> None:
    failing, sound = accepted(uuid4()), accepted(uuid4())
    temporal.error, temporal.answer = error, False
    starts.add(failing)
    temporal.gate.set()
    with capture_logs() as lines:
        await settled()
    assert recent.ids() == frozenset()
    assert [line["log_level"] for line in lines] == ([] if error is None else ["error"])
    assert SECRET not in str(lines)
    temporal.error, temporal.answer = None, True
    starts.add(sound)
    await starts.close(PATIENCE)
    assert recent.ids() == {sound.id}


async def test_a_process_that_was_frozen_starts_nothing_late(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    """By then the job may be over, or its account purged: who starts it reads its row first."""
    with capture_logs() as lines:
        starts.add(accepted(uuid4(), age=MAX_AGE))
        await settled()
    assert (temporal.begun, recent.ids()) == ([], frozenset())
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_the_end_of_a_process_leaves_what_hangs(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    account = uuid4()
    for number in range(LANES + 3):
        starts.add(accepted(account, number))
    await settled()
    with capture_logs() as lines:
        await starts.close(timedelta(0))
        starts.add(accepted(account))
        await settled()
    assert lines[0]["count"] == LANES + 3
    assert len(temporal.begun) == LANES
    assert recent.ids() == frozenset()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "job start"]


def test_a_start_is_recent_for_a_while() -> None:
    clock = [datetime.now(UTC)]
    recent, job_id = RecentStarts(now=lambda: clock[0]), uuid4()
    recent.note(job_id)
    assert recent.ids() == {job_id}
    clock[0] += REJOIN_AGE
    assert recent.ids() == frozenset()


def test_a_process_that_never_leads_forgets_old_starts() -> None:
    """Nobody reads the ids there."""
    clock = [datetime.now(UTC)]
    recent, again = RecentStarts(now=lambda: clock[0]), uuid4()
    for _ in range(5):
        for job_id in (again, *(uuid4() for _ in range(10))):
            recent.note(job_id)
        clock[0] += REJOIN_AGE / 2
    assert len(recent) == 1 + 2 * 10


@pytest.mark.parametrize(("state", "begun"), [(State.QUEUED, 1), (State.CANCELLED, 0), (None, 0)])
async def test_a_job_that_has_ended_while_it_waited_is_not_started(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts, state: State | None, begun: int
) -> None:
    temporal.gate.set()
    job = accepted(uuid4(), age=FRESH_AGE)
    temporal.ended[job.id] = state
    starts.add(job)
    await starts.close(PATIENCE)
    assert (len(temporal.begun), job.id in recent.ids()) == (begun, bool(begun))

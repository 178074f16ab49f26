"""Workflows start after the answer: as many as workers take, accounts in turn, and nothing is lost but by the rows."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from domain.current_request import REQUEST_ID, working_for
from domain.errors import NotFound, ServiceUnavailable
from domain.media import Job, Kind, State
from gateway import job_starts
from gateway.beginnings import AT_ONCE, TIMEOUT, Beginnings
from gateway.job_starts import (
    FRESH_AGE,
    MAX_AGE,
    MAX_WAITING,
    MAX_WAITING_OF_ACCOUNT,
    REJOIN_AGE,
    JobStarts,
    RecentStarts,
)
from tests.support.queued_job import queued_job

GRACE = timedelta(seconds=30)
SECRET = "what-a-user-wrote"


class Temporal:
    """Starts nothing before its gate opens, and its workers bring no job to a vendor before `taken` is set."""

    def __init__(self) -> None:
        self.begun: list[Job] = []
        self.requests: list[str | None] = []
        """What the starts worked for."""
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.answer = True
        self.ended: dict[UUID, State | None] = {}
        """Jobs that have ended meanwhile; None: a purge has erased them."""
        self.taken = False
        self.fault: Exception | None = None

    async def beginning(self, job_ids: Collection[UUID]) -> Collection[UUID]:
        if self.fault is not None:
            raise self.fault
        return set() if self.taken else job_ids

    async def owned(self, _account_id: UUID, job_id: UUID) -> Job:
        state = self.ended.get(job_id, State.QUEUED)
        if state is None:
            raise NotFound
        return queued_job().model_copy(update={"state": state})

    async def start(self, job: Job) -> bool:
        self.begun.append(job)
        self.requests.append(REQUEST_ID.get())
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def clock() -> list[datetime]:
    return [datetime.now(UTC)]


@pytest.fixture
def temporal(monkeypatch: pytest.MonkeyPatch) -> Temporal:
    monkeypatch.setattr(job_starts, "PAUSE", timedelta(0))
    return Temporal()


@pytest.fixture
def starts(temporal: Temporal, clock: list[datetime]) -> JobStarts:
    return JobStarts(temporal.start, temporal.owned, Beginnings(temporal.beginning, lambda: clock[0]))


@pytest.fixture
def recent(starts: JobStarts) -> RecentStarts:
    return starts.recent


async def settled() -> None:
    """All tasks have gone as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_flood_waits_until_workers_have_taken_what_was_started(temporal: Temporal, starts: JobStarts) -> None:
    flood, other = uuid4(), uuid4()
    temporal.gate.set()
    for _ in range(300):
        starts.add(queued_job(flood))
    await settled()
    starts.add(queued_job(other))
    await settled()
    assert [job.account_id for job in temporal.begun] == [*[flood] * AT_ONCE, other]
    temporal.taken = True
    await starts.close(GRACE)
    assert len({job.id for job in temporal.begun}) == 301


async def test_a_job_that_waited_starts_for_its_own_request(temporal: Temporal, starts: JobStarts) -> None:
    requests, account = [f"req_{number}" for number in range(AT_ONCE + 3)], uuid4()
    temporal.gate.set()
    for request_id in requests:
        with working_for(request_id, None):
            starts.add(queued_job(account, request_id=request_id))
    temporal.taken = True
    await starts.close(GRACE)
    assert temporal.requests == [job.request_id for job in temporal.begun] == requests


async def test_accounts_without_a_start_under_way_have_some_places_more(temporal: Temporal, starts: JobStarts) -> None:
    for _ in range(AT_ONCE * 3):
        starts.add(queued_job(uuid4()))
        starts.add(queued_job(uuid4(), kind=Kind.IMAGE))
    await settled()
    kinds = [job.kind for job in temporal.begun]
    assert (kinds.count(Kind.VIDEO), kinds.count(Kind.IMAGE)) == (AT_ONCE * 2, AT_ONCE * 3)


async def test_a_job_that_no_worker_takes_stops_the_others_for_a_while_alone(
    temporal: Temporal, starts: JobStarts, clock: list[datetime]
) -> None:
    """Nor does a database that is away."""
    account = uuid4()
    temporal.gate.set()
    for _ in range(AT_ONCE + 1):
        starts.add(queued_job(account))
    await settled()
    temporal.fault = ServiceUnavailable()
    clock[0] += TIMEOUT
    await settled()
    assert len(temporal.begun) == AT_ONCE
    temporal.fault = None
    await settled()
    assert len(temporal.begun) == AT_ONCE + 1


async def test_a_fault_leaves_what_waits_to_the_orphan_starter(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    account = uuid4()
    temporal.gate.set()
    temporal.fault = RuntimeError(SECRET)
    with capture_logs() as lines:
        for _ in range(AT_ONCE + 3):
            starts.add(queued_job(account))
        await settled()
    assert [(line["log_level"], line["count"]) for line in lines] == [("error", 3)]
    assert SECRET not in str(lines)
    assert len(recent.ids()) == len(temporal.begun) == AT_ONCE
    temporal.fault, temporal.taken = None, True
    starts.add(queued_job(account))
    await starts.close(GRACE)
    assert len(temporal.begun) == AT_ONCE + 1


async def test_what_has_no_place_is_left_to_the_orphan_starter(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    flood, room = uuid4(), AT_ONCE + MAX_WAITING_OF_ACCOUNT
    temporal.gate.set()
    with capture_logs() as lines:
        for _ in range(room + 20):
            starts.add(queued_job(flood))
        await settled()
    assert len(recent.ids()) == room
    assert [line["log_level"] for line in lines] == ["warning"]
    starts.add(queued_job())
    temporal.taken = True
    await starts.close(GRACE)
    assert len(temporal.begun) == len(recent.ids()) == room + 1


async def test_there_is_an_end_to_what_waits(starts: JobStarts, temporal: Temporal, recent: RecentStarts) -> None:
    for _ in range(MAX_WAITING + 2 * AT_ONCE + 10):
        starts.add(queued_job())
    assert len(recent.ids()) == MAX_WAITING + 2 * AT_ONCE
    temporal.gate.set()
    temporal.taken = True
    await starts.close(GRACE)
    assert len(temporal.begun) == MAX_WAITING + 2 * AT_ONCE


@pytest.mark.parametrize(
    "error", [None, RuntimeError(SECRET), ServiceUnavailable(SECRET, reported=True)], ids=["away", "fault", "reported"]
)
async def test_a_start_that_fails_is_the_orphan_starters(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts, error: Exception | None
) -> None:
    failing, sound = queued_job(), queued_job()
    temporal.error, temporal.answer = error, False
    starts.add(failing)
    temporal.gate.set()
    with capture_logs() as lines:
        await settled()
    assert recent.ids() == frozenset()
    assert [line["log_level"] for line in lines] == (["error"] if isinstance(error, RuntimeError) else [])
    assert SECRET not in str(lines)
    temporal.error, temporal.answer = None, True
    starts.add(sound)
    await starts.close(GRACE)
    assert recent.ids() == {sound.id}


async def test_a_process_that_was_frozen_starts_nothing_late(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    """By then the job may be over, or its account purged: who starts it reads its row first."""
    with capture_logs() as lines:
        starts.add(queued_job(age=MAX_AGE))
        await settled()
    assert (temporal.begun, recent.ids()) == ([], frozenset())
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_the_end_of_a_process_leaves_what_hangs(
    temporal: Temporal, starts: JobStarts, recent: RecentStarts
) -> None:
    account = uuid4()
    for _ in range(AT_ONCE + 3):
        starts.add(queued_job(account))
    await settled()
    with capture_logs() as lines:
        await starts.close(timedelta(0))
        starts.add(queued_job(account))
        await settled()
    assert lines[0]["count"] == AT_ONCE + 3
    assert len(temporal.begun) == AT_ONCE
    assert recent.ids() == frozenset()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("job start")]


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
    job = queued_job(age=FRESH_AGE)
    temporal.ended[job.id] = state
    starts.add(job)
    await starts.close(GRACE)
    assert (len(temporal.begun), job.id in recent.ids()) == (begun, bool(begun))

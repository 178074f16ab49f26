"""A database that is away is one line, however many connections notice it, and one more when it is back."""

import pytest
import structlog
from psycopg import OperationalError, errors
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.failures import translated
from db.connections import PoolExhausted
from db.engine import Database
from db.outage import SETTLING_SECONDS, SILENT_SECONDS, Outage
from dev import ports
from domain.errors import ServiceUnavailable
from domain.faults import CALM_SECONDS
from logs import OperatorFaults

URL = "postgresql://yout:secret@db.example:5432/yout"
LOST = OperationalError("server closed the connection unexpectedly")
REFUSED = OperationalError(
    'connection failed: connection to server at "10.0.0.5", port 5432 failed: Connection refused'
)


class Process:
    """Of which all connections share what they know."""

    def __init__(self) -> None:
        self.now = 0.0
        faults = OperatorFaults(structlog.get_logger(), clock=lambda: self.now)
        self.outage = Outage(URL, faults, clock=lambda: self.now)


def test_errors_of_one_outage_are_one_line() -> None:
    process = Process()
    with capture_logs() as lines:
        for number, error in enumerate(
            (LOST, errors.AdminShutdown(), errors.CannotConnectNow(), REFUSED, TimeoutError())
        ):
            process.now = number * SETTLING_SECONDS / 5
            assert process.outage.seen(error)
        for _ in range(100):
            process.now += 0.5
            process.outage.seen(REFUSED)
        process.outage.over(by="a lane")
        process.outage.over(by="a lane")
    assert [line["event"] for line in lines] == [
        "the connection to the database was lost",
        "the connection to the database was lost: mended",
    ]
    assert lines[0]["where"] == "db.example:5432/yout"
    assert "see that PostgreSQL runs there" in lines[0]["remedy"]


def test_another_cause_that_lasts_is_named_with_its_remedy() -> None:
    process = Process()
    with capture_logs() as lines:
        for process.now in (0.0, SETTLING_SECONDS, SETTLING_SECONDS + 1):
            process.outage.seen(REFUSED if not process.now else errors.InvalidPassword())
    assert [line["event"] for line in lines] == [
        "nothing listens there for the database",
        "the database refuses the password",
    ]


def test_a_success_beside_errors_is_not_yet_the_end() -> None:
    process = Process()
    with capture_logs() as lines:
        for process.now in (0.0, 1.0, 2.0):
            process.outage.seen(PoolExhausted())
            process.outage.over()
        process.now += CALM_SECONDS
        process.outage.over()
    assert [line["event"] for line in lines] == [
        "no connection to the database became free",
        "no connection to the database became free: mended",
    ]


def test_what_one_lane_writes_does_not_mend_another() -> None:
    process = Process()
    with capture_logs() as lines:
        for lane in ("one", "other"):
            process.outage.seen(REFUSED, by=lane)
        process.outage.over(by="one")
        process.now += CALM_SECONDS
        process.outage.over()
        assert len(lines) == 1
        process.outage.over(by="other")
    assert [line["event"] for line in lines] == [
        "nothing listens there for the database",
        "nothing listens there for the database: mended",
    ]


@pytest.mark.parametrize("error", [errors.LockNotAvailable(), errors.DeadlockDetected(), errors.SerializationFailure()])
def test_a_statement_that_fails_is_no_outage(error: OperationalError) -> None:
    process = Process()
    with capture_logs() as lines:
        assert not process.outage.seen(DBAPIError(None, None, error))
    assert not lines


def test_whoever_sent_a_statement_that_takes_too_long_names_it_too() -> None:
    """The database may be slow, or that statement: of which account or row, only its sender knows."""
    process = Process()
    with capture_logs() as lines:
        assert not process.outage.seen(DBAPIError(None, None, errors.QueryCanceled()))
    assert [line["event"] for line in lines] == ["the database took too long"]


async def test_attempts_of_activities_add_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A worker, while nothing listens where its database was: each attempt fails, and the log has one line of it."""
    url = f"postgresql://yout:secret@127.0.0.1:{ports.free()}/yout"
    database = Database.open(url, outage=Outage(url, OperatorFaults(structlog.get_logger())))

    async def attempt() -> None:
        with translated():
            async with database.reading():
                pass

    with capture_logs() as lines:
        for _ in range(5):
            with pytest.raises(ApplicationError) as failed:
                await ActivityEnvironment().run(attempt)
            assert failed.value.type == ServiceUnavailable.code
    await database.close()
    assert [line["event"] for line in lines] == ["nothing listens there for the database"]
    assert caplog.records == []


def test_a_full_disk_is_one_fault_until_there_is_room_again() -> None:
    """Reads, and writes that need no more of it, succeed meanwhile."""
    process = Process()
    with capture_logs() as lines:
        for _ in range(3):
            process.outage.seen(errors.DiskFull(), by="a lane")
            process.outage.over(by="a lane")
            process.now += CALM_SECONDS
            process.outage.over()
        assert [line["event"] for line in lines] == ["the database's disk is full"]
        process.outage.proven()
        process.outage.over()
    assert [line["event"] for line in lines[1:]] == ["the database's disk is full: mended"]


@pytest.mark.parametrize("silence", [TimeoutError(), errors.ConnectionTimeout("timeout")])
def test_after_a_silence_nobody_waits_for_the_next_until_an_answer_or_for_a_time(silence: Exception) -> None:
    process = Process()
    for error in (REFUSED, PoolExhausted(), errors.QueryCanceled(), errors.DiskFull()):
        process.outage.seen(error)
        assert not process.outage.silent
    process.outage.seen(silence)
    process.outage.seen(PoolExhausted())
    assert process.outage.silent
    process.outage.answered()
    assert not process.outage.silent
    process.outage.seen(silence)
    process.outage.over()
    assert not process.outage.silent
    process.outage.seen(silence)
    process.now += SILENT_SECONDS
    assert not process.outage.silent


def test_a_worker_waits_each_time() -> None:
    patient = Outage(URL, OperatorFaults(structlog.get_logger()), patient=True)
    with capture_logs():
        patient.seen(TimeoutError())
    assert (patient.lasts, patient.silent) == (True, False)

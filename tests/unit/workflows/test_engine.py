"""What was accepted stays accepted, whatever Temporal answers: maintenance starts it later."""

from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import uuid4

import pytest
import structlog
from structlog.testing import capture_logs
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import GatewayError, ServiceUnavailable
from domain.faults import CALM_SECONDS
from domain.purges import PurgeKey
from logs import OperatorFaults
from temporal.faults import LATE_AGAIN_SECONDS, RequestFaults
from tests.support.fault_lines import FaultLines
from tests.support.queued_job import queued_job
from workflows.engine import Engine
from workflows.start import CANCEL_JOB, START_JOB, START_PURGE, Starter

REFUSALS = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND, RPCStatusCode.RESOURCE_EXHAUSTED)
TOO_MUCH, REFUSED = "Temporal has too much to do", "Temporal refuses what was accepted"
LATE = "start a job: Temporal answers, but does not do in time what it is asked"


class Server:
    """Stands for a client. Its server has no namespace or search attributes of ours, has too much to do, or is late."""

    def __init__(self, status: RPCStatusCode | None = None) -> None:
        self.status = status

    async def start_workflow(self, *_: Any, **__: Any) -> None:
        if self.status is not None:
            raise RPCError("SECRET", self.status, b"")

    def get_workflow_handle(self, _: str) -> "Server":
        return self

    async def start_update(self, *_: Any, **__: Any) -> None:
        await self.start_workflow()


class Process:
    """One that asks for accepted work, as an API process and as maintenance; and looks whether Temporal answers."""

    def __init__(self, status: RPCStatusCode | None) -> None:
        self.now, self.server, self.log = 0.0, Server(status), FaultLines()
        self.faults = RequestFaults(self.log, lambda: self.now)
        client = cast(Client, self.server)
        self.engine, self.starter = Engine(client, self.faults), Starter(client, self.faults)

    async def maintained(self) -> GatewayError | None:
        try:
            await self.starter.start(queued_job())
        except GatewayError as error:
            return error
        return None


ASKS: dict[str, Callable[[Engine], Awaitable[Any]]] = {
    START_JOB: lambda engine: engine.start_job(queued_job()),
    CANCEL_JOB: lambda engine: engine.cancel_job(uuid4()),
    START_PURGE: lambda engine: engine.start_purge(PurgeKey(uuid4(), uuid4())),
}


@pytest.mark.parametrize("status", REFUSALS, ids=lambda status: status.name)
@pytest.mark.parametrize("ask", ASKS)
async def test_a_refusal_of_temporal_is_logged_and_not_the_callers_error(ask: str, status: RPCStatusCode) -> None:
    process = Process(status)
    assert not await ASKS[ask](process.engine)
    process.faults.answers()
    what = TOO_MUCH if status is RPCStatusCode.RESOURCE_EXHAUSTED else REFUSED
    missing = ask == CANCEL_JOB and status is RPCStatusCode.NOT_FOUND  # no workflow of it is open
    assert process.log.lines == ([] if missing else [f"{ask}: {what}"])


@pytest.mark.parametrize("status", REFUSALS, ids=lambda status: status.name)
async def test_jobs_that_wait_for_a_server_that_refuses_them_are_one_line(status: RPCStatusCode) -> None:
    process = Process(status)
    for _ in range(50):
        error = await process.maintained()
        assert error is not None
        assert error.reported
        assert isinstance(error, ServiceUnavailable) == (status is RPCStatusCode.RESOURCE_EXHAUSTED)
    process.faults.answers()
    assert len(process.log.lines) == 1
    process.server.status = None
    assert await process.maintained() is None
    for process.now in (CALM_SECONDS / 2, CALM_SECONDS, CALM_SECONDS * 2):  # nothing is asked any more
        process.faults.answers()
    assert process.log.lines[1:] == ["start a job: mended"]


async def test_a_job_that_temporal_alone_refuses_is_named_with_what_ends_it() -> None:
    """`yout doctor` has nothing to say of it: others are started."""
    job, process = queued_job(), Process(RPCStatusCode.INVALID_ARGUMENT)
    process.faults = RequestFaults(OperatorFaults(structlog.get_logger()))
    await Engine(cast(Client, process.server), process.faults).start_job(job)
    with capture_logs() as lines:
        process.faults.answers()
    (line,) = lines
    assert (line["where"], line["item"]) == ("start a job", str(job.id))
    assert "`yout jobs cancel`" in line["remedy"]


async def test_a_server_that_answers_and_is_late_with_starts_is_one_line() -> None:
    process = Process(RPCStatusCode.DEADLINE_EXCEEDED)
    for process.now in (0.0, 5.0):
        assert not await process.engine.start_job(queued_job())
        assert isinstance(await process.maintained(), ServiceUnavailable)
        assert process.log.lines == []
        process.faults.answers()
    assert process.log.lines == [LATE]
    process.server.status, process.now = None, 5.0 + CALM_SECONDS
    process.faults.answers()
    assert process.log.lines == [LATE]
    assert await process.engine.start_job(queued_job())
    process.faults.answers()
    assert process.log.lines == [LATE, "start a job: mended"]


@pytest.mark.parametrize("away", [True, False], ids=["away", "late once"])
async def test_starts_while_temporal_is_away_and_one_that_is_late_are_no_line(away: bool) -> None:
    process = Process(RPCStatusCode.DEADLINE_EXCEEDED)
    for process.now in (0.0, LATE_AGAIN_SECONDS + 1):
        assert not await process.engine.start_job(queued_job())
        if away:
            process.faults.away()
        process.faults.answers()
    assert process.log.lines == []


class Closing:
    """No worker takes the update of a workflow, which closes before it can be cancelled."""

    def get_workflow_handle(self, _: str) -> "Closing":
        return self

    async def start_update(self, *_: Any, **__: Any) -> None:
        raise WorkflowUpdateRPCTimeoutOrCancelledError

    async def cancel(self, **_: Any) -> None:
        raise RPCError("SECRET", RPCStatusCode.NOT_FOUND, b"")


async def test_a_workflow_that_closes_while_it_is_asked_is_not_open() -> None:
    log = FaultLines()
    faults = RequestFaults(log)
    assert not await Engine(cast(Client, Closing()), faults).cancel_job(uuid4())
    faults.answers()
    assert log.lines == []

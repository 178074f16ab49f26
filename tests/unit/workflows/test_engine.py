"""What was accepted stays accepted, whatever Temporal answers: maintenance starts it later."""

from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from domain.purges import PurgeKey
from tests.support.queued_job import queued_job
from workflows.engine import Engine

ERRORS = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND, RPCStatusCode.RESOURCE_EXHAUSTED)


class Refusing:
    """A client of a server without our namespace or our search attributes, or one that has too much to do."""

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    async def start_workflow(self, *_: Any, **__: Any) -> None:
        raise RPCError("SECRET", self._status, b"")

    def get_workflow_handle(self, _: str) -> "Refusing":
        return self

    async def start_update(self, *_: Any, **__: Any) -> None:
        raise RPCError("SECRET", self._status, b"")


ASKS: dict[str, Callable[[Engine], Awaitable[Any]]] = {
    "start a job": lambda engine: engine.start_job(queued_job()),
    "cancel a job": lambda engine: engine.cancel_job(uuid4()),
    "start a purge": lambda engine: engine.start_purge(PurgeKey(uuid4(), uuid4())),
}


@pytest.mark.parametrize("status", ERRORS, ids=lambda status: status.name)
@pytest.mark.parametrize("ask", ASKS)
async def test_a_refusal_of_temporal_is_logged_and_not_the_callers_error(ask: str, status: RPCStatusCode) -> None:
    engine = Engine(cast(Client, Refusing(status)))
    with capture_logs() as lines:
        assert not await ASKS[ask](engine)
    missing = ask == "cancel a job" and status is RPCStatusCode.NOT_FOUND  # no workflow of it is open
    assert [line["log_level"] for line in lines] == ([] if missing else ["error"])
    assert "SECRET" not in str(lines)


class Closing:
    """No worker takes the update of a workflow, which closes before it can be cancelled."""

    def get_workflow_handle(self, _: str) -> "Closing":
        return self

    async def start_update(self, *_: Any, **__: Any) -> None:
        raise WorkflowUpdateRPCTimeoutOrCancelledError

    async def cancel(self, **_: Any) -> None:
        raise RPCError("SECRET", RPCStatusCode.NOT_FOUND, b"")


async def test_a_workflow_that_closes_while_it_is_asked_is_not_open() -> None:
    with capture_logs() as lines:
        assert not await Engine(cast(Client, Closing())).cancel_job(uuid4())
    assert lines == []

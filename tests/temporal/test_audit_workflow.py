"""The scheduled audit: quiet while the ledger is proven, loud when it is not."""

import logging
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError

from activities.payloads import Audited
from domain.errors import ServiceUnavailable
from tests.support.temporal.fakes import Fakes
from tests.support.temporal.fleet import maintaining
from workflows.audit import AuditWorkflow
from workflows.options import MAINTENANCE


async def audited(client: Client, fakes: Fakes) -> Audited:
    async with maintaining(client, fakes):
        return await client.execute_workflow(AuditWorkflow.run, id=str(uuid4()), task_queue=MAINTENANCE)


async def test_a_clean_ledger_is_all_it_says(client: Client) -> None:
    assert await audited(client, Fakes()) == Audited(accounts=3)


async def test_a_database_that_is_away_is_waited_for(client: Client) -> None:
    fakes = Fakes()
    fakes.script.fail("auditor.run", ServiceUnavailable())
    assert await audited(client, fakes) == Audited(accounts=3)


async def test_a_drift_fails_the_workflow_at_once_and_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    fakes = Fakes()
    fakes.auditor.counts = {"available_drift": 7}
    with caplog.at_level(logging.ERROR), pytest.raises(WorkflowFailureError) as caught:
        await audited(client, fakes)
    assert isinstance(caught.value.cause, ActivityError)
    assert isinstance(caught.value.cause.cause, ApplicationError)
    assert caught.value.cause.cause.type == "LedgerDrift"
    assert "available_drift: 7" in caplog.text
    assert fakes.script.calls.count("auditor.run") == 1

"""Reads when schedules last began a round, and whether the next one can read what the last one left."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleDescription
from temporalio.service import RPCError, RPCStatusCode

from temporal.backlogs import NOT_HERE
from temporal.codec import KeyUnknown

MAX_WAIT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class LastRound:
    schedule: str
    namespace: str = ""
    """Where it is, or should be."""
    exists: bool = False
    paused: bool = False
    began_at: datetime | None = None
    made_at: datetime | None = None
    """When the schedule was."""


async def read(upkeep: Client, jobs: Client, schedules: Sequence[str]) -> list[LastRound] | None:
    """None while Temporal is unavailable. Where a worker may not use maintenance's namespace, they are in the jobs'."""
    try:
        async with asyncio.timeout(MAX_WAIT.total_seconds()):
            return await asyncio.gather(*(_read((upkeep, jobs), schedule) for schedule in schedules))
    except (RPCError, RuntimeError, TimeoutError):  # a lazy client's first call raises RuntimeError
        return None


async def _read(clients: Sequence[Client], schedule: str) -> LastRound:
    for client in clients:
        try:
            described = await client.get_schedule_handle(schedule).describe()
        except RPCError as error:
            if error.status not in NOT_HERE:
                raise
            continue
        began = described.info.recent_actions[-1].started_at if described.info.recent_actions else None
        paused, made = described.schedule.state.paused, described.info.created_at
        return LastRound(schedule, client.namespace, True, paused, began, made)
    return LastRound(schedule, clients[0].namespace)


async def opens(client: Client, described: ScheduleDescription) -> bool:
    """Tell whether this process has the keys of what the schedule gives its next round: the result of the last one.

    False where nobody can know, since the last round is not stored any more.
    """
    recent = [one.action for one in described.info.recent_actions]
    codec = client.data_converter.payload_codec
    if not recent or codec is None:
        return True
    last = recent[-1]
    assert isinstance(last, ScheduleActionExecutionStartWorkflow)  # noqa: S101  # there is no other kind
    try:
        await codec.decode(await _results(client, last))
    except KeyUnknown:
        return False
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _results(client: Client, action: ScheduleActionExecutionStartWorkflow) -> list[Payload]:
    """Return the result that a round was given, and its own, as they are stored."""
    handle = client.get_workflow_handle(action.workflow_id, run_id=action.first_execution_run_id)
    payloads: list[Payload] = []
    for event in (await handle.fetch_history()).events:
        payloads += event.workflow_execution_started_event_attributes.last_completion_result.payloads
        payloads += event.workflow_execution_completed_event_attributes.result.payloads
    return payloads

"""Reads when schedules last began a round."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from temporal.backlogs import NOT_HERE

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

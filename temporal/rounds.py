"""Reads when schedules last began a round."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

MAX_WAIT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class LastRound:
    schedule: str
    exists: bool = False
    paused: bool = False
    began_at: datetime | None = None
    made_at: datetime | None = None
    """When the schedule was."""


async def read(client: Client, schedules: Sequence[str]) -> list[LastRound] | None:
    """None while Temporal is unavailable."""
    try:
        async with asyncio.timeout(MAX_WAIT.total_seconds()):
            return await asyncio.gather(*(_read(client, schedule) for schedule in schedules))
    except (RPCError, RuntimeError, TimeoutError):  # a lazy client's first call raises RuntimeError
        return None


async def _read(client: Client, schedule: str) -> LastRound:
    try:
        described = await client.get_schedule_handle(schedule).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return LastRound(schedule)
    began = described.info.recent_actions[-1].started_at if described.info.recent_actions else None
    return LastRound(schedule, True, described.schedule.state.paused, began, described.info.created_at)

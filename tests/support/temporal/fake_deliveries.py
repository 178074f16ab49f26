"""Deliveries of webhooks in memory: what each attempt comes to is set by the test."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from tests.support.temporal.script import Script


@dataclass(frozen=True)
class FakeStep:
    state: str
    pause: timedelta | None = None


@dataclass
class FakeDeliveries:
    script: Script
    steps: list[FakeStep] = field(default_factory=list)
    """What attempts come to, one after the other. Then: delivered."""
    attempts: list[tuple[UUID, int]] = field(default_factory=list)
    attempted: asyncio.Event = field(default_factory=asyncio.Event)

    async def attempt(self, delivery_id: UUID, round_: int, /) -> FakeStep:
        await self.script.at("deliveries.attempt")
        self.attempts.append((delivery_id, round_))
        self.attempted.set()
        return self.steps.pop(0) if self.steps else FakeStep("delivered")

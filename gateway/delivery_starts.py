"""Starts the workflows of webhook deliveries: the rows say which, so that none is lost while Temporal is away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.rounds import MaintenanceErrors, Round
from domain.webhooks import DeliveryKey

BATCH = 500


class PendingDeliveries(Protocol):
    """Deliveries in PostgreSQL: `db.deliveries`."""

    async def due(self, limit: int) -> Sequence[DeliveryKey]:
        """Deliveries that no workflow was started for, and those whose workflow is lost."""

    async def started(self, key: DeliveryKey) -> None: ...


class Starter(Protocol):
    async def start_delivery(self, delivery: DeliveryKey) -> bool:
        """Start the workflow or join it. Raises `ServiceUnavailable` while Temporal is away."""


@dataclass(frozen=True, slots=True)
class DeliveryStarts:
    deliveries: PendingDeliveries
    starter: Starter
    errors: MaintenanceErrors

    async def start(self) -> int:
        """Run one round, safe to do twice and from many processes. Return how many were started."""
        round_: Round[DeliveryKey] = Round(
            "start_deliveries", lambda one: f"delivery {one.id}", lambda one: one.account_id, self.errors
        )
        return await round_.run(await self.deliveries.due(BATCH), self._start)

    async def _start(self, delivery: DeliveryKey) -> int:
        await self.starter.start_delivery(delivery)
        await self.deliveries.started(delivery)
        return 1

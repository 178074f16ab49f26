"""What an API process asks of Temporal for a client: briefly. What could not be asked, maintenance does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client

from domain.errors import GatewayError
from domain.media import Job
from domain.purges import PurgeKey
from temporal.faults import RequestFaults
from workflows import start

START_TIMEOUT_SECONDS = 2.0
"""Seconds that the start of a workflow may take; after that the orphan starter does it."""


class Engine:
    def __init__(self, client: Client, faults: RequestFaults) -> None:
        self.client, self._faults = client, faults

    async def start_job(self, job: Job) -> bool:
        """Start the job's workflow. False when it could not be started, or has already ended: maintenance decides."""
        async with self._asking(start.START_JOB, job.id, START_TIMEOUT_SECONDS):
            return await start.start(self.client, job)
        return False

    async def cancel_job(self, job_id: UUID) -> bool:
        """Ask the job's workflow to cancel it. False when it could not be asked."""
        async with self._asking(start.CANCEL_JOB, job_id, 2 * START_TIMEOUT_SECONDS):
            return await start.cancel(self.client, job_id, max_wait=timedelta(seconds=START_TIMEOUT_SECONDS))
        return False

    async def start_purge(self, purge: PurgeKey) -> None:
        async with self._asking(start.START_PURGE, purge.id, START_TIMEOUT_SECONDS):
            await start.start_purge(self.client, purge)

    @asynccontextmanager
    async def _asking(self, what: str, item: UUID, seconds: float) -> AsyncIterator[None]:
        """Leave to maintenance what Temporal does not do. The operator learns of it by `temporal.faults`."""
        with suppress(GatewayError, TimeoutError), self._faults.asking(what, item):
            async with asyncio.timeout(seconds):
                yield

    async def answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                return await self.client.service_client.check_health()
        except Exception:  # whatever it is, Temporal does not answer
            return False

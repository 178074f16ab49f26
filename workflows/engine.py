"""What an API process asks of Temporal for a client: briefly. What could not be asked, maintenance does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import ServiceUnavailable
from domain.media import Job
from domain.purges import PurgeKey
from domain.rounds import FaultLog
from logs import OperatorFaults
from workflows import start

log = structlog.get_logger(__name__)

START_TIMEOUT_SECONDS = 2.0
"""Seconds that the start of a workflow may take; after that the orphan starter does it."""
REMEDY = "run `yout doctor`: it says what Temporal lacks; nothing is lost, maintenance asks again until it is done"


class Engine:
    def __init__(self, client: Client, faults: FaultLog | None = None) -> None:
        self._client = client
        self._faults = faults or OperatorFaults(log)

    async def start_job(self, job: Job) -> bool:
        """Start the job's workflow. False when it could not be started, or has already ended: maintenance decides."""
        async with self._asking("start a job", START_TIMEOUT_SECONDS):
            return await start.start(self._client, job)
        return False

    async def cancel_job(self, job_id: UUID) -> bool:
        """Ask the job's workflow to cancel it. False when it could not be asked."""
        async with self._asking("cancel a job", 2 * START_TIMEOUT_SECONDS):
            return await start.cancel(self._client, job_id, max_wait=timedelta(seconds=START_TIMEOUT_SECONDS))
        return False

    async def start_purge(self, purge: PurgeKey) -> None:
        async with self._asking("start a purge", START_TIMEOUT_SECONDS):
            await start.start_purge(self._client, purge)

    @asynccontextmanager
    async def _asking(self, what: str, seconds: float) -> AsyncIterator[None]:
        """Leave to maintenance what Temporal does not do. Of a server that is away the operator learns elsewhere."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except (ServiceUnavailable, TimeoutError):
            return
        except RPCError as error:  # its search attributes or its namespace are missing, or it has too much to do
            status = error.status.name
            self._faults.report("Temporal refuses what was accepted", where=what, remedy=REMEDY, status=status)
        else:
            self._faults.clear(what)

    async def answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                return await self._client.service_client.check_health()
        except Exception:  # whatever it is, Temporal does not answer
            return False

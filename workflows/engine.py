"""What an API process asks of Temporal for a client: briefly. What could not be asked, maintenance does."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import ServiceUnavailable
from domain.media import Job
from domain.purges import PurgeKey
from workflows import start

log = structlog.get_logger(__name__)

START_TIMEOUT_SECONDS = 2.0
"""Seconds that the start of a workflow may take; after that the orphan starter does it."""


class Engine:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def start_job(self, job: Job) -> bool:
        """Start the job's workflow. False when it could not be started, or has already ended: maintenance decides."""
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                return await start.start(self._client, job)
        except (ServiceUnavailable, TimeoutError):
            log.warning("job accepted, Temporal is away", job=str(job.id))
        except RPCError as error:  # its search attributes or its namespace are missing, or it has too much to do
            log.error("job accepted, Temporal refuses to start it", job=str(job.id), status=error.status.name)
        return False

    async def cancel_job(self, job_id: UUID) -> bool:
        """Ask the job's workflow to cancel it. False when it could not be asked."""
        try:
            async with asyncio.timeout(2 * START_TIMEOUT_SECONDS):
                return await start.cancel(self._client, job_id, max_wait=timedelta(seconds=START_TIMEOUT_SECONDS))
        except (ServiceUnavailable, TimeoutError):
            log.warning("wish to cancel recorded, Temporal is away", job=str(job_id))
        except RPCError as error:
            log.error("wish to cancel recorded, Temporal refuses it", job=str(job_id), status=error.status.name)
        return False

    async def start_purge(self, purge: PurgeKey) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                await start.start_purge(self._client, purge)
        except (ServiceUnavailable, TimeoutError):
            log.warning("purge accepted, Temporal is away", purge=str(purge.id))
        except RPCError as error:
            log.error("purge accepted, Temporal refuses to start it", purge=str(purge.id), status=error.status.name)

    async def answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                return await self._client.service_client.check_health()
        except Exception:  # whatever it is, Temporal does not answer
            return False

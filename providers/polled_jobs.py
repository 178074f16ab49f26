"""What adapters of polled work have in common: a vendor that lost a job, and what most vendors cannot do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain.errors import UpstreamError
from providers.base import Progress, Stage
from providers.lost_jobs import LostJobs


class PolledJobs(ABC):
    """A part of `providers.base.MediaProvider`. Its vendor takes no reference of ours, and can neither stop nor delete.

    The adapter of a vendor that can writes `cancel` or `discard` over.
    """

    find_is_complete = False

    def __init__(self) -> None:
        self._lost = LostJobs()

    async def find(self, reference: str) -> str | None:
        """A submission in doubt cannot be looked up."""
        return None

    async def poll(self, provider_job_id: str) -> Progress:
        try:
            progress = await self._progress(provider_job_id, await self._state(provider_job_id))
        except UpstreamError as error:
            if self._lost.counts(error):
                if self._lost.lost(provider_job_id):
                    return Progress(Stage.FAILED, failure=UpstreamError.code)
                error.retryable = True
            raise
        self._lost.seen(provider_job_id)
        return progress

    async def cancel(self, provider_job_id: str) -> Progress:
        return replace(await self.poll(provider_job_id), unstoppable=True)

    async def discard(self, provider_job_id: str) -> None:
        return None

    @abstractmethod
    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        """Return what the vendor says of the work."""

    @abstractmethod
    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        """Read it."""

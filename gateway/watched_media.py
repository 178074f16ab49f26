"""Providers of media, watched: the operator learns of one that fails again and again, in one line for all its jobs."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from domain.errors import UpstreamError
from domain.media import MediaRequest
from gateway.provider_faults import ProviderFaults
from gateway.route_states import Failure, failure
from providers.base import MediaProvider, MediaSubmission, OutputFile, Progress, Submitted

FAILURES = 3
"""Failures in a row after which it is the provider that fails, and not one request. One of our key is enough."""


class WatchedMedia:
    """As `activities.submissions.Providers`."""

    def __init__(self, providers: Callable[[str, MediaRequest | None], MediaProvider], faults: ProviderFaults) -> None:
        self._providers, self._faults = providers, faults
        self._in_a_row: Counter[str] = Counter()

    def __call__(self, name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        return _Watched(self, name, self._providers(name, request))

    @contextmanager
    def watching(self, name: str) -> Iterator[None]:
        """Mark the error as reported where the log has it by then."""
        try:
            yield
        except UpstreamError as error:
            why = failure(error)
            self._in_a_row[name] += 1
            if why is Failure.KEY or self._in_a_row[name] >= FAILURES:
                error.reported = self._faults.failed(name, why)
            raise
        self._in_a_row.pop(name, None)
        self._faults.works(name)


class _Watched:
    """Implements `providers.base.MediaProvider`."""

    def __init__(self, owner: WatchedMedia, name: str, provider: MediaProvider) -> None:
        self._owner, self._name, self._provider = owner, name, provider

    @property
    def find_is_complete(self) -> bool:
        return self._provider.find_is_complete

    async def submit(self, submission: MediaSubmission) -> Submitted:
        with self._owner.watching(self._name):
            return await self._provider.submit(submission)

    async def find(self, reference: str) -> str | None:
        with self._owner.watching(self._name):
            return await self._provider.find(reference)

    async def poll(self, provider_job_id: str) -> Progress:
        with self._owner.watching(self._name):
            return await self._provider.poll(provider_job_id)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        with self._owner.watching(self._name):
            async for file in self._provider.fetch(provider_job_id):
                yield file

    async def cancel(self, provider_job_id: str) -> Progress:
        with self._owner.watching(self._name):
            return await self._provider.cancel(provider_job_id)

    async def discard(self, provider_job_id: str) -> None:
        with self._owner.watching(self._name):
            await self._provider.discard(provider_job_id)

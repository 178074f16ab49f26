"""Providers of media, watched: the operator learns of one that fails again and again, in one line for all its jobs."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from domain.errors import UpstreamError
from domain.media import MediaRequest
from gateway.provider_faults import WORDS, ProviderFaults
from gateway.route_states import Failure, failure
from providers.base import MediaProvider, MediaSubmission, OutputFile, Progress, Submitted

FAILURES = 3
"""Failures in a row after which it is the provider that fails, and not one request. They are of two jobs at least,
where the input of one may be to blame. One of our key is enough."""


class WatchedMedia:
    """As `activities.submissions.Providers`."""

    def __init__(self, providers: Callable[[str, MediaRequest | None], MediaProvider], faults: ProviderFaults) -> None:
        self._providers, self._faults = providers, faults
        self._in_a_row: dict[str, deque[str]] = {}
        """The jobs of the last failures of each provider, until one succeeds."""
        self._unpaid: set[str] = set()
        """Providers that have refused to work for our key. One whose balance is used up answers all else."""

    def __call__(self, name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        return _Watched(self, name, self._providers(name, request))

    @contextmanager
    def watching(self, name: str, job: str, *, submits: bool = False) -> Iterator[None]:
        """Mark the error as reported where the log has it by then. `job` is what names the job at the provider."""
        try:
            yield
        except UpstreamError as error:
            if (why := failure(error)) in WORDS:  # others are of the request
                failed = self._in_a_row.setdefault(name, deque(maxlen=FAILURES))
                failed.append(job)
                in_a_row = len(failed) == FAILURES and (error.unreached or len(set(failed)) > 1)
                if why is Failure.KEY or in_a_row:
                    error.reported = self._faults.failed(name, why)
                if why is Failure.KEY and submits:
                    self._unpaid.add(name)
            raise
        self._in_a_row.pop(name, None)
        if submits:
            self._unpaid.discard(name)
        if name not in self._unpaid:
            self._faults.works(name)


class _Watched:
    """Implements `providers.base.MediaProvider`."""

    def __init__(self, owner: WatchedMedia, name: str, provider: MediaProvider) -> None:
        self._owner, self._name, self._provider = owner, name, provider

    @property
    def find_is_complete(self) -> bool:
        return self._provider.find_is_complete

    async def submit(self, submission: MediaSubmission) -> Submitted:
        with self._owner.watching(self._name, submission.reference, submits=True):
            return await self._provider.submit(submission)

    async def find(self, reference: str) -> str | None:
        with self._owner.watching(self._name, reference):
            return await self._provider.find(reference)

    async def poll(self, provider_job_id: str) -> Progress:
        with self._owner.watching(self._name, provider_job_id):
            return await self._provider.poll(provider_job_id)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        with self._owner.watching(self._name, provider_job_id):
            async for file in self._provider.fetch(provider_job_id):
                yield file

    async def cancel(self, provider_job_id: str) -> Progress:
        with self._owner.watching(self._name, provider_job_id):
            return await self._provider.cancel(provider_job_id)

    async def discard(self, provider_job_id: str) -> None:
        with self._owner.watching(self._name, provider_job_id):
            await self._provider.discard(provider_job_id)

"""Several keys of one provider of media: which one submits, and which one has submitted.

Keys take turns. One that its vendor does not accept, or that is at its limits, rests, and the next one submits: only
where the first has certainly not been accepted. Where there are several, the id of a job names the key that submitted
it, by a fingerprint: no other key can poll, fetch, cancel or delete it.
"""

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import structlog

from domain.errors import UpstreamBusy, UpstreamError
from domain.media import MediaRequest
from gateway.key_rings import KeyRing
from gateway.route_states import Failure, failure, rest_seconds
from providers.base import MediaProvider, MediaSubmission, OutputFile, Progress, Submitted

Keyed = Mapping[str, MediaProvider]
"""A provider with each of its keys, in their order, by their fingerprints."""
_NAMED = re.compile(r"([0-9a-f]{8})~(.*)", re.DOTALL)
_UNAVAILABLE = (503, 529)

log = structlog.get_logger(__name__)


class MediaKeys:
    """The providers of media with all of their keys. Which keys rest, this process alone knows."""

    def __init__(
        self, keyed: Callable[[str, MediaRequest | None], Keyed], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keyed, self._clock = keyed, clock
        self._rings: dict[str, KeyRing] = {}

    def __call__(self, name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        """As `activities.submissions.Providers`."""
        keyed = self._keyed(name, request)
        return KeyedMedia(name, keyed, self._rings.setdefault(name, KeyRing()), self._clock)


class KeyedMedia:
    """Implements `providers.base.MediaProvider`."""

    def __init__(self, name: str, keyed: Keyed, ring: KeyRing, clock: Callable[[], float]) -> None:
        self._name, self._keyed, self._ring, self._clock = name, keyed, ring, clock
        self._names = tuple(keyed)

    @property
    def find_is_complete(self) -> bool:
        return self._keyed[self._names[0]].find_is_complete

    async def submit(self, submission: MediaSubmission) -> Submitted:
        tried: set[int] = set()
        refused: UpstreamError | None = None
        while (key := self._next(frozenset(tried))) is not None:
            tried.add(key)
            name = self._names[key]
            try:
                submitted = await self._keyed[name].submit(submission)
            except UpstreamError as error:
                if not self._rests(key, error):
                    raise
                # One that is at its limits for a moment says when to ask again: that counts for all of them.
                refused = error if refused is None or isinstance(error, UpstreamBusy) else refused
            else:
                self._ring.works(key, None)
                return replace(submitted, provider_job_id=self._named(name, submitted.provider_job_id))
        assert refused is not None  # noqa: S101  # there is at least one key
        raise refused

    async def find(self, reference: str) -> str | None:
        for name, provider in self._keyed.items():
            if (work := await provider.find(reference)) is not None:
                return self._named(name, work)
        return None

    async def poll(self, provider_job_id: str) -> Progress:
        provider, work = self._of(provider_job_id)
        return await provider.poll(work)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        provider, work = self._of(provider_job_id)
        async for file in provider.fetch(work):
            yield file

    async def cancel(self, provider_job_id: str) -> Progress:
        provider, work = self._of(provider_job_id)
        return await provider.cancel(work)

    async def discard(self, provider_job_id: str) -> None:
        provider, work = self._of(provider_job_id)
        await provider.discard(work)

    def _next(self, tried: frozenset[int]) -> int | None:
        """Return the key that has its turn. When all rest, the one that rests for the shortest time is tried."""
        count = len(self._names)
        key = self._ring.next(count, self._clock(), None, tried)
        return self._ring.least_bad(count, None) if key is None and not tried else key

    def _rests(self, key: int, error: UpstreamError) -> bool:
        """Let the key rest if the error is about it, and tell whether another key may submit."""
        if error.status in _UNAVAILABLE or not (isinstance(error, UpstreamBusy) or error.not_accepted):
            return False
        seconds = rest_seconds(error, why := failure(error))
        if seconds is None:
            return False
        if why is Failure.KEY and len(self._names) > 1:  # nobody else learns of it while another key works
            log.error("a media provider does not accept one of our keys", provider=self._name, key=key + 1)
        self._ring.rest(key, seconds, self._clock(), None, for_all=True)
        return True

    def _of(self, provider_job_id: str) -> tuple[MediaProvider, str]:
        """Return who submitted the job, and the vendor's id. An id without a key is of the first key.

        Raises `UpstreamError` if its key is not configured here: the next deploy may have it.
        """
        match = _NAMED.fullmatch(provider_job_id)
        if match is None:
            return self._keyed[self._names[0]], provider_job_id
        if match[1] not in self._keyed:
            raise UpstreamError
        return self._keyed[match[1]], match[2]

    def _named(self, name: str, provider_job_id: str) -> str:
        return f"{name}~{provider_job_id}" if len(self._names) > 1 else provider_job_id

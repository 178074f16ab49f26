"""Media jobs in fal's queue.

No webhook is used: a worker polls. fal does not repeat a request itself, stores neither its input nor its output, and
deletes its files after an hour. Our key cannot delete anything there, so `discard` has nothing to do.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx2

from domain.catalog import Provider
from domain.errors import AdapterFault, UpstreamError
from domain.media import DEADLINES, Kind
from providers import signals
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.fal import families, results
from providers.fal.addresses import Addresses
from providers.fal.results import RequestFailed
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in
from providers.polled_jobs import PolledJobs
from providers.remote_files import opened

HOSTS = ("fal.media", "*.fal.media")
"""Public hosts of its files."""
MAX_ANSWER_BYTES = 4 << 20
COMPLETED, IN_QUEUE = "COMPLETED", "IN_QUEUE"


class FalMedia(PolledJobs):
    """Implements `providers.base.MediaProvider`. fal takes no reference of ours: nothing can be found by it."""

    def __init__(self, provider: Provider, http: httpx2.AsyncClient) -> None:
        super().__init__()
        self._base_url = provider.base_url
        self._key = key_in("Authorization", provider, "Key ")
        self._signal = signals.of(provider.kind, provider.capabilities)
        rules = HttpRules(self._credentials, HOSTS, explain=results.refused_submission)
        self._http = MediaHttp(http, provider, rules)
        self._results = MediaHttp(http, provider, replace(rules, explain=results.failed_request))

    async def submit(self, submission: MediaSubmission) -> Submitted:
        request = submission.request
        model, arguments = families.of(request).written(request, submission.inputs)
        headers = _submission_headers(request.kind)
        answer = await self._json(self._http, f"/{model}", HttpRequest("", json=arguments, headers=headers))
        return Submitted(Addresses.answered(answer, self._base_url, model).job_id)

    async def poll(self, provider_job_id: str) -> Progress:
        """Return the state. `COMPLETED` is not success: the result decides."""
        try:
            return await super().poll(provider_job_id)
        except RequestFailed as failed:
            return failed.progress

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        addresses = Addresses.read(provider_job_id)
        answer = await self._get(self._http, addresses.status)
        if answer.get("status") == COMPLETED:
            results.files(await self._get(self._results, addresses.result))
        return answer

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        if answer.get("status") == COMPLETED:
            return Progress(Stage.DONE)
        return Progress(Stage.RUNNING, queued=answer.get("status") == IN_QUEUE)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        try:
            output = await self._get(self._results, Addresses.read(provider_job_id).result)
            files = results.files(output)
        except RequestFailed:  # when it was polled, it was there
            raise UpstreamError from None
        async for file in opened(self._http, files):
            yield file

    async def cancel(self, provider_job_id: str) -> Progress:
        """Ask fal to stop. It takes a request out of its queue; the model decides what becomes of one that runs."""
        try:
            path = Addresses.read(provider_job_id).cancel
            answer = await self._json(self._http, path, HttpRequest("", "PUT"))
        except UpstreamError as error:
            if error.status == 404:
                return Progress(Stage.CANCELLED)
            if error.status != 400:
                raise
            answer = {}  # it has ended
        if answer.get("status") == "OK":
            return Progress(Stage.CANCELLED)
        return await self.poll(provider_job_id)

    async def _get(self, http: MediaHttp, path: str) -> Mapping[str, Any]:
        return await self._json(http, path, HttpRequest("", "GET"))

    async def _json(self, http: MediaHttp, path: str, request: HttpRequest) -> Mapping[str, Any]:
        there = replace(request, url=f"{self._base_url}{path}")
        answer = await http.json(there, max_bytes=MAX_ANSWER_BYTES)
        if not isinstance(answer.value, Mapping):
            raise AdapterFault
        return answer.value

    async def _credentials(self) -> Mapping[str, str]:
        """Return the key and, over everything else, the signal against storing."""
        return {**await self._key(), **self._signal.headers}


def _submission_headers(kind: Kind) -> dict[str, str]:
    """fal may not repeat what may be billed, and need not begin what nobody waits for any more."""
    return {"X-Fal-No-Retry": "1", "X-Fal-Request-Timeout": f"{DEADLINES[kind].total_seconds():.0f}"}

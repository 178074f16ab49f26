"""Media jobs as Replicate's predictions.

No webhook and no `Prefer` is used: a worker polls. Replicate deletes input, output and files itself after an hour, and
has nothing to delete them earlier, so `discard` has nothing to do.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx2

from domain.catalog import Provider
from domain.errors import AdapterFault, UpstreamError
from domain.media import DEADLINES
from providers import media_data
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in
from providers.polled_jobs import PolledJobs
from providers.remote_files import opened
from providers.replicate import families, results

HOSTS = ("replicate.delivery", "*.replicate.delivery")
"""Public hosts of its files."""
MAX_ANSWER_BYTES = 4 << 20
_ID = re.compile(r"[a-z0-9]{8,64}", re.ASCII)
_VERSION = re.compile(r"([\w.-]+/[\w.-]+:)?[0-9a-f]{64}", re.ASCII)


class ReplicateMedia(PolledJobs):
    """Implements `providers.base.MediaProvider`.

    Its list of predictions has nothing of ours, and no input: a submission in doubt cannot be looked up there.
    """

    def __init__(self, provider: Provider, http: httpx2.AsyncClient) -> None:
        super().__init__()
        rules = HttpRules(key_in("Authorization", provider, "Bearer "), HOSTS)
        self._http = MediaHttp(http, provider, rules)
        self._base_url = provider.base_url

    async def submit(self, submission: MediaSubmission) -> Submitted:
        """Create a prediction. `Cancel-After` ends it when nobody waits any more."""
        request = submission.request
        body: dict[str, Any] = {"input": families.of(request).written(request, submission.inputs)}
        path = f"/models/{request.model}/predictions"
        if _VERSION.fullmatch(request.model):
            path, body["version"] = "/predictions", request.model
        headers = {"Cancel-After": f"{DEADLINES[request.kind].total_seconds():.0f}s"}
        prediction = await self._json(path, HttpRequest("", json=body, headers=headers))
        return Submitted(media_data.job_id(prediction.get("id"), _ID))

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        prediction = await self._state(provider_job_id)
        async for file in opened(self._http, results.files(prediction)):
            yield file

    async def cancel(self, provider_job_id: str) -> Progress:
        """Ask Replicate to stop. Its answer is the prediction, which may have ended before."""
        try:
            order = HttpRequest("", of_work=True)
            return results.progress(await self._json(f"/predictions/{provider_job_id}/cancel", order))
        except UpstreamError as error:
            if error.status == 404:
                return Progress(Stage.CANCELLED)
            raise

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        return await self._json(f"/predictions/{provider_job_id}", HttpRequest("", "GET"))

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        return results.progress(answer)

    async def _json(self, path: str, request: HttpRequest) -> Mapping[str, Any]:
        there = replace(request, url=f"{self._base_url}{path}")
        answer = await self._http.json(there, max_bytes=MAX_ANSWER_BYTES)
        if not isinstance(answer.value, Mapping):
            raise AdapterFault
        return answer.value

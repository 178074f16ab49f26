"""Media jobs at xAI: images in the answer to a call, videos by polling."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx2

from domain.catalog import Provider
from domain.errors import ContentPolicyViolation, RetentionDenied, UpstreamError, UpstreamRefused
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers import media_data, signals, upstream_json
from providers.base import Headers, MediaSubmission, MediaTraits, OutputFile, Progress, Submitted
from providers.lost_jobs import LostJobs
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in, of_our_account
from providers.xai import images, videos

PATIENCE = timedelta(seconds=240)
HOSTS = ("*.x.ai",)
"""Where its videos are. Anybody can read them there who knows the address."""
MAX_STATE_BYTES = 1 << 20
_MADE = "made:"
_KEY = re.compile(rb"api key|credential", re.IGNORECASE)


class XaiMedia:
    """Implements `providers.base.MediaProvider`. xAI takes no reference of ours, and can neither cancel nor delete."""

    traits = MediaTraits(tells_percent=True)

    def __init__(self, http: MediaHttp, provider: Provider) -> None:
        self._http, self._base = http, provider.base_url.rstrip("/")
        self._signal = signals.OF_KIND[provider.kind]
        self._lost = LostJobs()

    async def submit(self, submission: MediaSubmission) -> Submitted:
        match submission.request.kind:
            case Kind.IMAGE:
                path, body = images.written(submission)
                files = images.read(await self._sent(submission, path, body), submission.request)
                return Submitted(f"{_MADE}{submission.reference}", media_data.outputs(files))
            case Kind.VIDEO:
                body = videos.body(submission)
                return Submitted(videos.name(await self._sent(submission, videos.GENERATIONS, body)))
        raise UpstreamRefused

    async def find(self, reference: str) -> str | None:
        return None

    async def poll(self, provider_job_id: str) -> Progress:
        try:
            answer = await self._state(provider_job_id)
        except UpstreamError as error:
            if error.status == 404 and self._lost.lost(provider_job_id):
                return media_data.failed(UpstreamError())
            raise
        self._lost.seen(provider_job_id)
        return videos.progress(answer)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        answer = await self._state(provider_job_id)
        download = await self._http.download(videos.url(answer))
        yield OutputFile("video/mp4", "mp4", download.chunks, duration=videos.duration(answer))

    async def cancel(self, provider_job_id: str) -> Progress:
        return await self.poll(provider_job_id)

    async def discard(self, provider_job_id: str) -> None:
        return None

    async def _sent(self, submission: MediaSubmission, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises `RetentionDenied` if xAI says that it keeps what must not be kept."""
        signed = signals.signed(body, self._signal)
        answer = await self._http.json(HttpRequest(f"{self._base}/{path}", json=signed, patience=PATIENCE))
        name, keeps = signals.RETAINED
        if submission.request.privacy is PrivacyClass.ZERO_RETENTION and answer.headers.get(name, "").lower() == keeps:
            raise RetentionDenied
        if not isinstance(answer.value, Mapping):
            raise UpstreamError
        return answer.value

    async def _state(self, video_id: str) -> Mapping[str, Any]:
        """Return the state of a video: empty while xAI answers without a body, which it does while it works."""
        answer = await self._http.open(HttpRequest(f"{self._base}/{videos.VIDEOS}/{video_id}", "GET"))
        body = bytearray()
        async for chunk in answer.chunks:
            body += chunk
            if len(body) > MAX_STATE_BYTES:
                raise UpstreamError
        value = upstream_json.read_whole(bytes(body)) if body.strip() else {}
        if not isinstance(value, Mapping):
            raise UpstreamError
        return value


def media(provider: Provider, client: httpx2.AsyncClient) -> XaiMedia:
    rules = HttpRules(key_in("Authorization", provider, "Bearer "), HOSTS, explain)
    return XaiMedia(MediaHttp(client, provider, rules), provider)


def explain(status: int, _: Headers, body: bytes) -> UpstreamError | None:
    """A key that is wrong and a filter that holds back an image are both a 400: the text tells."""
    if images.is_moderated(status, body):
        return ContentPolicyViolation()
    if status == 400 and _KEY.search(body):
        return of_our_account()
    return None

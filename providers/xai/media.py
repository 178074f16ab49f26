"""Media jobs at xAI: images in the answer to a call, videos by polling."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx2
import structlog

from domain.catalog import Provider
from domain.errors import ContentPolicyViolation, RetentionDenied, UpstreamError, UpstreamRefused
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers import media_data, signals, upstream_json
from providers.base import Headers, MediaSubmission, OutputFile, Progress, Submitted
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in, of_our_account
from providers.polled_jobs import PolledJobs
from providers.xai import images, videos

log = structlog.get_logger(__name__)

TIMEOUT = timedelta(seconds=240)
HOSTS = ("*.x.ai",)
"""Where its videos are. Anybody can read them there who knows the address."""
MAX_STATE_BYTES = 1 << 20
_WITH_ANSWER = "made:"
_KEY = re.compile(rb"api key|credential", re.IGNORECASE)


class XaiMedia(PolledJobs):
    """Implements `providers.base.MediaProvider`. xAI takes no reference of ours, and can neither cancel nor delete."""

    def __init__(self, http: MediaHttp, provider: Provider) -> None:
        super().__init__()
        self._http, self._base = http, provider.base_url.rstrip("/")
        self._signal = signals.OF_KIND[provider.kind]
        self._name, self._keeps = provider.name, False

    async def submit(self, submission: MediaSubmission) -> Submitted:
        match submission.request.kind:
            case Kind.IMAGE:
                path, body = images.written(submission)
                order = HttpRequest(f"{self._base}/{path}", json=self._signed(body), timeout=TIMEOUT, answers=True)
                files = images.read(await self._sent(submission, order), submission.request)
                return Submitted(f"{_WITH_ANSWER}{submission.reference}", media_data.outputs(files))
            case Kind.VIDEO:
                body = videos.body(submission)
                order = HttpRequest(f"{self._base}/{videos.GENERATIONS}", json=self._signed(body), timeout=TIMEOUT)
                return Submitted(videos.name(await self._sent(submission, order)))
        raise UpstreamRefused

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        answer = await self._state(provider_job_id)
        download = await self._http.download(videos.url(answer))
        yield OutputFile("video/mp4", "mp4", download.chunks, duration=videos.duration(answer))

    def _signed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return signals.signed(body, self._signal)

    async def _sent(self, submission: MediaSubmission, order: HttpRequest) -> Mapping[str, Any]:
        """Raises `RetentionDenied` if xAI keeps what must not be kept.

        Only its answers tell, once the work is made and billed: then no other route may make it again. What it has said
        is remembered until the catalog is read again, and such requests are not sent meanwhile.
        """
        strict = submission.request.privacy is PrivacyClass.ZERO_RETENTION
        if strict and self._keeps:
            raise RetentionDenied
        answer = await self._http.json(order)
        name, keeps = signals.RETAINED
        self._keeps = answer.headers.get(name, "").strip().lower() == keeps
        if strict and self._keeps:
            log.error("a media provider keeps what its entry in the catalog says it does not", provider=self._name)
            denied = RetentionDenied()
            denied.not_accepted = False
            raise denied
        if not isinstance(answer.value, Mapping):
            raise UpstreamError
        return answer.value

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        return videos.progress(answer)

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        """Return the state of a video: empty while xAI answers without a body, which it does while it works."""
        answer = await self._http.open(HttpRequest(f"{self._base}/{videos.VIDEOS}/{provider_job_id}", "GET"))
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

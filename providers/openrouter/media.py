"""Media jobs at OpenRouter: images in the answer to a call, videos by polling."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx2

from domain.catalog import Provider
from domain.errors import ContentPolicyViolation, RetentionDenied, UpstreamError, UpstreamRefused
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers import media_data, several_calls, signals, upstream_json
from providers.base import Headers, MediaSubmission, OutputFile, Progress, Submitted
from providers.media_data import DataFile
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in, of_status
from providers.openrouter import images, videos
from providers.polled_jobs import PolledJobs

TIMEOUT = timedelta(seconds=240)
_WITH_ANSWER = "made:"
_POLICY = frozenset({"content_policy_violation", "refusal"})
_OF_THE_INPUT = frozenset({"invalid_prompt", "invalid_image", "image_too_large"})
_OF_THE_REQUEST = frozenset({"invalid_request", "unprocessable"})
"""Of one that brings the input, it means the input."""


class OpenRouterMedia(PolledJobs):
    """Implements `providers.base.MediaProvider`. OpenRouter takes no reference of ours, and cannot cancel or delete."""

    def __init__(self, http: MediaHttp, provider: Provider) -> None:
        super().__init__()
        self._http, self._base = http, provider.base_url.rstrip("/")
        self._signal = signals.OF_KIND[provider.kind]

    async def submit(self, submission: MediaSubmission) -> Submitted:
        match submission.request.kind:
            case Kind.IMAGE:
                files = await self._images(submission)
                return Submitted(f"{_WITH_ANSWER}{submission.reference}", media_data.outputs(files))
            case Kind.VIDEO:
                return Submitted(await self._video(submission))
        raise UpstreamRefused

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        for index in range(videos.files(await self._state(provider_job_id))):
            download = await self._http.download(f"{self._url(provider_job_id)}/content?index={index}")
            yield OutputFile("video/mp4", "mp4", download.chunks)

    async def _images(self, submission: MediaSubmission) -> list[DataFile]:
        """What may not be kept goes as a chat, where the signal is; a chat makes one image."""
        if not images.forbids_retention(submission.request):
            body = images.written(submission)
            return images.read(await self._made(images.IMAGES, body), submission.request)
        return await several_calls.outputs_of(
            [self._by_chat(submission, index) for index in range(submission.request.n)]
        )

    async def _by_chat(self, submission: MediaSubmission, index: int) -> list[DataFile]:
        body = signals.signed(images.chat(submission, index), self._signal)
        return images.read_chat(await self._made(images.CHAT, body))

    async def _video(self, submission: MediaSubmission) -> str:
        """There is no signal for videos: OpenRouter keeps them as the account there has it."""
        if submission.request.privacy is not PrivacyClass.UNKNOWN:
            raise RetentionDenied
        order = HttpRequest(f"{self._base}/{videos.VIDEOS}", json=videos.body(submission))
        return videos.name(await self._answer(order))

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        return await self._answer(HttpRequest(self._url(provider_job_id), "GET"))

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        return videos.progress(answer)

    async def _made(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        order = HttpRequest(f"{self._base}/{path}", json=body, timeout=TIMEOUT, answers=True)
        return await self._answer(order)

    async def _answer(self, request: HttpRequest) -> Mapping[str, Any]:
        """Return an answer. Raises the error that one with status 200 may be. The state of a video may have one."""
        value = (await self._http.json(request)).value
        if not isinstance(value, Mapping):
            raise UpstreamError
        error = value.get("error")
        if isinstance(error, Mapping) and "status" not in value:
            general = of_status(400, {}, orders=request.orders) if _kind(error) in _OF_THE_REQUEST else UpstreamError()
            raise _explained(error) or general
        return value

    def _url(self, video_id: str) -> str:
        return f"{self._base}/{videos.VIDEOS}/{video_id}"


def media(provider: Provider, client: httpx2.AsyncClient) -> OpenRouterMedia:
    rules = HttpRules(key_in("Authorization", provider, "Bearer "), explain=explain)
    return OpenRouterMedia(MediaHttp(client, provider, rules), provider)


def explain(status: int, headers: Headers, body: bytes) -> UpstreamError | None:
    """Read the type of an error. A 403 may be moderation, and a 404 that no provider may be asked."""
    try:
        value = upstream_json.read_whole(body)
    except UpstreamError:
        return None
    error = value.get("error") if isinstance(value, Mapping) else None
    return _explained(error) if isinstance(error, Mapping) else None


def _explained(error: Mapping[str, Any]) -> UpstreamError | None:
    metadata = error.get("metadata")
    if _kind(error) in _POLICY or (isinstance(metadata, Mapping) and metadata.get("flagged_input")):
        return ContentPolicyViolation()
    return UpstreamRefused() if _kind(error) in _OF_THE_INPUT else None


def _kind(error: Mapping[str, Any]) -> str:
    metadata = error.get("metadata")
    return str(metadata.get("error_type")) if isinstance(metadata, Mapping) else ""

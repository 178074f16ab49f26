"""Images, speech and transcripts from OpenAI, and from servers with its API: in the answer to the one call.

OpenAI keeps no job of these: there is nothing to look up, to cancel or to delete. A call whose answer was lost is a
doubt. Videos, of servers with the API that OpenAI had for Sora, are polled, and deleted once they are copied.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, cast

import httpx2
import orjson

from domain.catalog import Provider
from domain.errors import AdapterFault, ContentPolicyViolation, GatewayError, UpstreamError, UpstreamRefused
from domain.media import Kind, MediaInput, MediaRequest
from providers import media_data, media_http, upstream_json
from providers.base import Headers, MediaSubmission, OutputFile, Progress, Submitted
from providers.media_fields import Dialect, same
from providers.media_http import Download, HttpRequest, HttpRules, JsonAnswer, MediaHttp, key_in
from providers.openai import videos
from providers.polled_jobs import PolledJobs

TIMESTAMPS = "timestamp_granularities"
TIMEOUT = timedelta(seconds=240)
"""Until an image in the highest quality."""
_POLICY = frozenset({"moderation_blocked", "content_policy_violation", "content_filter"})
_OUR_ACCOUNT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"})
_EXTENSIONS = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac", "wav": "wav", "pcm": "pcm"}
_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav"}
_NO_SOUND = ("text/", "application/json")
_FILE_NAMES = {"image/png": "image.png", "image/jpeg": "image.jpg", "image/webp": "image.webp"}
_SOUND_NAMES = {
    "audio/mpeg": "audio.mp3",
    "audio/wav": "audio.wav",
    "audio/ogg": "audio.ogg",
    "audio/flac": "audio.flac",
    "audio/mp4": "audio.m4a",
    "video/mp4": "audio.mp4",
    "video/webm": "audio.webm",
}
"""OpenAI reads the type from the name."""
_ROLES = {"image": "image[]", "reference": "image[]", "mask": "mask"}


_VIDEO = "video:"
"""How the id of a video begins."""
_BEGINNINGS = frozenset({"image", "first_frame", "reference"})
"""What `input_reference` may be called here."""


def _pixels(width: int, height: int) -> dict[str, Any]:
    return {"size": f"{width}x{height}"}


_IMAGE = Dialect(
    count="n",
    size=_pixels,
    names=same("quality", "background", "output_format", "output_compression", "moderation", "input_fidelity", "style"),
)
"""`response_format` is not sent: models of today refuse it, and answer in base64 without it."""
_TRANSCRIPT = Dialect(names=same("response_format", "language", "temperature", TIMESTAMPS))
_TRANSCRIPT_FIELDS = ("task", "language", "languages", "duration", "text", "segments", "words")
"""Of a transcript in JSON, what is stored."""
_JSON_FORMATS = frozenset({"json", "verbose_json", "diarized_json"})
MAX_TRANSCRIPT_BYTES = 16 << 20
_SPEECH = Dialect(text="input", names=same("voice", "response_format", "speed", "instructions"))


class OpenAIMedia(PolledJobs):
    """Implements `providers.base.MediaProvider`."""

    def __init__(self, provider: Provider, http: httpx2.AsyncClient) -> None:
        super().__init__()
        rules = HttpRules(key_in("Authorization", provider, "Bearer "), explain=explained)
        self._http = MediaHttp(http, provider, rules)
        self._base_url = provider.base_url.rstrip("/")

    async def submit(self, submission: MediaSubmission) -> Submitted:
        match submission.request.kind:
            case Kind.IMAGE:
                files = await self._images(submission)
            case Kind.SPEECH if not submission.inputs:
                files = await self._speech(submission.request)
            case Kind.TRANSCRIPTION:
                files = await self._transcript(submission)
            case Kind.VIDEO:
                return Submitted(f"{_VIDEO}{await self._video(submission)}")
            case _:
                raise UpstreamRefused
        return Submitted(f"answered:{submission.reference}", files)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        answer = await self._state(provider_job_id)
        download = await self._http.download(f"{self._address(provider_job_id)}/content")
        yield OutputFile("video/mp4", "mp4", download.chunks, duration=videos.seconds(answer))

    async def discard(self, provider_job_id: str) -> None:
        """Delete a video. Of anything else, nothing is kept."""
        if not provider_job_id.startswith(_VIDEO):
            return
        try:
            await self._http.json(HttpRequest(self._address(provider_job_id), "DELETE"))
        except UpstreamError as error:
            if error.status != 404:
                raise

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        answer = await self._http.json(HttpRequest(self._address(provider_job_id), "GET"))
        if not isinstance(answer.value, Mapping):
            raise AdapterFault
        return answer.value

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        return videos.progress(answer)

    def _address(self, provider_job_id: str) -> str:
        """Raises `UpstreamError` for what is no video: its output came with the answer, or never comes."""
        form, _, name = provider_job_id.partition(":")
        if f"{form}:" != _VIDEO:
            raise UpstreamError
        return f"{self._base_url}/{videos.VIDEOS}/{name}"

    async def _video(self, submission: MediaSubmission) -> str:
        """By JSON, or by a form with the picture that it begins with."""
        url, body = f"{self._base_url}/{videos.VIDEOS}", videos.fields(submission.request)
        if not submission.inputs:
            return videos.name((await self._http.json(HttpRequest(url, json=body))).value)
        (picture, *others) = submission.inputs
        if others or picture.role not in _BEGINNINGS or picture.content_type not in _FILE_NAMES:
            raise UpstreamRefused
        file = (_FILE_NAMES[picture.content_type], picture.content, picture.content_type)
        texts = {name: str(value) for name, value in body.items()}
        order = HttpRequest(url, data=texts, files=[("input_reference", file)])
        return videos.name((await self._http.json(order)).value)

    async def _images(self, submission: MediaSubmission) -> AsyncIterator[OutputFile]:
        request = submission.request
        body = {"model": request.model, **_IMAGE.fields(request)}
        if submission.inputs:
            texts = {name: str(value) for name, value in body.items()}
            url, files = f"{self._base_url}/images/edits", _files(submission.inputs)
            order = HttpRequest(url, data=texts, files=files, timeout=TIMEOUT, answers=True)
        else:
            order = HttpRequest(f"{self._base_url}/images/generations", json=body, timeout=TIMEOUT, answers=True)
        answer = (await self._http.json(order)).value
        given = media_data.mappings(answer.get("data") if isinstance(answer, dict) else None)[: request.n]
        if not given:
            raise UpstreamError
        kind = f"image/{answer.get('output_format') or 'png'}"
        return self._pictures(given, kind)

    async def _pictures(self, given: Sequence[dict[str, Any]], content_type: str) -> AsyncIterator[OutputFile]:
        for each in given:
            if each.get("b64_json"):
                file = media_data.DataFile(content_type, media_data.decoded(each["b64_json"]))
                async for output in media_data.outputs([file]):
                    yield output
            else:  # a server of the operator may give links: to itself alone
                file_ = await self._http.download(str(each.get("url")))
                extension = media_data.EXTENSIONS.get(file_.content_type, "bin")
                yield OutputFile(file_.content_type, extension, file_.chunks)

    async def _speech(self, request: MediaRequest) -> AsyncIterator[OutputFile]:
        body = {"model": request.model, **_SPEECH.fields(request)}
        order = HttpRequest(f"{self._base_url}/audio/speech", json=body, timeout=TIMEOUT, answers=True)
        return _sound(request, await self._http.open(order))

    async def _transcript(self, submission: MediaSubmission) -> AsyncIterator[OutputFile]:
        request = submission.request
        if [given.role for given in submission.inputs] != ["audio"]:
            raise UpstreamRefused
        (sound,) = submission.inputs
        texts: dict[str, Any] = {k: str(value) for k, value in _TRANSCRIPT.fields(request).items() if value != ""}
        if timestamps := texts.pop(TIMESTAMPS, ""):
            texts[f"{TIMESTAMPS}[]"] = timestamps.split(",")
        name = _SOUND_NAMES.get(sound.content_type)
        if name is None:
            raise UpstreamRefused
        url = f"{self._base_url}/audio/transcriptions"
        files = [("file", (name, sound.content, sound.content_type))]
        fields = {"model": request.model, **texts}
        order = HttpRequest(url, data=fields, files=files, timeout=TIMEOUT, answers=True)
        if (request.response_format or "json") in _JSON_FORMATS:
            return _written(await self._http.json(order, max_bytes=MAX_TRANSCRIPT_BYTES))
        download = await self._http.open(order)
        return _speech_file(download)


async def _written(answer: JsonAnswer) -> AsyncIterator[OutputFile]:
    given = answer.value if isinstance(answer.value, dict) else {}
    if not isinstance(given.get("text"), str):
        raise AdapterFault
    content = orjson.dumps({name: given[name] for name in _TRANSCRIPT_FIELDS if name in given})
    yield OutputFile("application/json", "json", _once(content))


async def _speech_file(download: Download) -> AsyncIterator[OutputFile]:
    if download.content_type in ("text/html", "application/json"):
        await _closed(download)
        raise AdapterFault
    yield OutputFile("text/plain", "txt", download.chunks)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _closed(download: Download) -> None:
    async with aclosing(cast("AsyncGenerator[bytes, None]", download.chunks)) as chunks:
        await anext(chunks, b"")  # what was not begun cannot be closed


async def _sound(request: MediaRequest, download: Download) -> AsyncIterator[OutputFile]:
    if download.content_type.startswith(_NO_SOUND):
        await _closed(download)
        raise AdapterFault
    name = request.response_format or "mp3"
    yield OutputFile(_TYPES.get(name, "audio/pcm"), _EXTENSIONS.get(name, "bin"), download.chunks)


def _files(inputs: Sequence[MediaInput]) -> list[tuple[str, tuple[str, bytes, str]]]:
    if any(given.role not in _ROLES or given.content_type not in _FILE_NAMES for given in inputs):
        raise UpstreamRefused
    return [(_ROLES[each.role], (_FILE_NAMES[each.content_type], each.content, each.content_type)) for each in inputs]


def explained(status: int, headers: Headers, body: bytes) -> GatewayError | None:
    """Tell a refusal for its content, and an account of ours without credits, from other errors."""
    try:
        value = upstream_json.read_whole(body)
    except (UpstreamError, ValueError):
        return None
    error = value.get("error") if isinstance(value, dict) else None
    code = str(error.get("code") or error.get("type")) if isinstance(error, dict) else ""
    if status in (400, 403) and code in _POLICY:
        return ContentPolicyViolation()
    return media_http.of_our_account() if code in _OUR_ACCOUNT else None

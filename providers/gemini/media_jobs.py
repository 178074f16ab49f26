"""Media jobs at Google: images and speech in the answer to a call, videos by operations or by interactions."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2

from domain.catalog import Provider
from domain.errors import OutputTooLarge, RetentionDenied, UpstreamError, UpstreamRefused
from domain.media import Kind
from domain.privacy import PrivacyClass
from domain.records import record
from providers import media_data, several_calls, signals, upstream_json
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.gemini import errors, images, omni, speech, veo
from providers.gemini.adapter import KEY_HEADER
from providers.media_data import DataFile
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in
from providers.polled_jobs import PolledJobs
from providers.signals import Signal

TIMEOUT = timedelta(seconds=240)
"""For an answer that has the output. Shorter than the step that waits for it."""
MAX_VIDEOS = 256 << 20
"""Bytes of an operation: at Vertex AI its videos are in it, as base64."""
_OMNI = "gemini-omni"
ANSWERED, OPERATION, INTERACTION = "made", "operation", "interaction"


@record
class Place:
    """AI Studio or Vertex AI."""

    base_url: str = field(repr=False)
    models: str = field(repr=False)
    """The path of its models, below the base."""
    vertex: bool
    signal: Signal

    def model(self, name: str, method: str) -> str:
        return f"{self.base_url}/{self.models}/{quote(name, safe='/-._')}:{method}"


@record
class Work:
    """What an id of ours says: the form of the work, and Google's name of it."""

    form: str = field(repr=False)
    name: str = field(repr=False)

    @classmethod
    def of(cls, provider_job_id: str) -> "Work":
        form, _, name = provider_job_id.partition(":")
        return cls(form, name)

    @property
    def id(self) -> str:
        return f"{self.form}:{self.name}"


class GeminiMedia(PolledJobs):
    """Implements `providers.base.MediaProvider`. Google takes no reference of ours: nothing can be found by it."""

    def __init__(self, http: MediaHttp, place: Place) -> None:
        super().__init__()
        self._http, self._place = http, place

    async def submit(self, submission: MediaSubmission) -> Submitted:
        match submission.request.kind:
            case Kind.IMAGE:
                return _made(submission, await self._images(submission))
            case Kind.SPEECH:
                return _made(submission, [await self._speech(submission)])
            case Kind.VIDEO if submission.request.model.startswith(_OMNI):
                return Submitted(await self._interaction(submission))
            case Kind.VIDEO:
                return Submitted(await self._operation(submission))
        raise UpstreamRefused

    async def poll(self, provider_job_id: str) -> Progress:
        if Work.of(provider_job_id).form == ANSWERED:
            return Progress(Stage.DONE)
        return await super().poll(provider_job_id)

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        if Work.of(provider_job_id).form == OPERATION:
            return veo.progress(answer)
        return await self._of_interaction(answer)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        work = Work.of(provider_job_id)
        answer = await self._state(provider_job_id)
        listed = veo.videos(answer) if work.form == OPERATION else omni.videos(answer)
        for video in listed:
            data = video.get("bytesBase64Encoded") or video.get("data")
            if data:
                async for output in media_data.outputs([DataFile("video/mp4", media_data.decoded(data))]):
                    yield output
            else:
                download = await self._http.download(self._address(video))
                yield OutputFile("video/mp4", "mp4", download.chunks)

    async def cancel(self, provider_job_id: str) -> Progress:
        """Ask for the end of an interaction. An operation cannot be stopped."""
        work = Work.of(provider_job_id)
        if work.form != INTERACTION:
            return await super().cancel(provider_job_id)
        await self._sent(HttpRequest(f"{self._interactions}/{work.name}/cancel", json={}, of_work=True))
        return await self.poll(provider_job_id)

    async def discard(self, provider_job_id: str) -> None:
        """Delete an interaction. Google deletes operations and files by itself, and has no call for that."""
        work = Work.of(provider_job_id)
        if work.form != INTERACTION:
            return
        try:
            await self._sent(HttpRequest(f"{self._interactions}/{work.name}", "DELETE"))
        except UpstreamError as error:
            if error.status != 404:
                raise

    async def _images(self, submission: MediaSubmission) -> list[DataFile]:
        """Each call makes one image."""
        return await several_calls.outputs_of([self._image(submission, index) for index in range(submission.request.n)])

    async def _image(self, submission: MediaSubmission, index: int) -> list[DataFile]:
        return images.read(await self._generated(submission, images.body(submission, index)))[:1]

    async def _speech(self, submission: MediaSubmission) -> DataFile:
        answer = await self._generated(submission, speech.body(submission.request))
        return speech.read(answer, submission.request.response_format or "wav")

    async def _generated(self, submission: MediaSubmission, body: Mapping[str, Any]) -> Mapping[str, Any]:
        url = self._place.model(submission.request.model, "generateContent")
        signed = signals.signed(body, self._place.signal)
        return await self._answer(HttpRequest(url, json=signed, timeout=TIMEOUT, answers=True))

    async def _operation(self, submission: MediaSubmission) -> str:
        url = self._place.model(submission.request.model, "predictLongRunning")
        body = veo.body(submission, vertex=self._place.vertex)
        return Work(OPERATION, veo.name(await self._answer(HttpRequest(url, json=body)))).id

    async def _interaction(self, submission: MediaSubmission) -> str:
        """Google keeps what runs in the background until `discard`: nothing goes there that may not be kept."""
        if self._place.vertex:
            raise UpstreamRefused
        if not PrivacyClass.RETAINED.covers(submission.request.privacy):
            raise RetentionDenied
        answer = await self._answer(HttpRequest(self._interactions, json=omni.body(submission)))
        return Work(INTERACTION, omni.name(answer)).id

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        work = Work.of(provider_job_id)
        if work.form == INTERACTION:
            return await self._answer(HttpRequest(f"{self._interactions}/{work.name}", "GET"))
        if not self._place.vertex:
            return await self._answer(HttpRequest(f"{self._place.base_url}/{work.name}", "GET"))
        resource = work.name.rpartition("/operations/")[0]
        url = f"{self._place.base_url}/{resource}:fetchPredictOperation"
        return await self._with_videos(HttpRequest(url, json={"operationName": work.name}, of_work=True))

    async def _of_interaction(self, answer: Mapping[str, Any]) -> Progress:
        """A file of a finished interaction may still be on its way."""
        progress = omni.progress(answer)
        if progress.stage is Stage.DONE:
            for video in omni.videos(answer):
                if not video.get("data"):
                    file = await self._answer(HttpRequest(self._address(video).partition(":download")[0], "GET"))
                    if file.get("state") == "PROCESSING":
                        return Progress(Stage.RUNNING)
        return progress

    def _address(self, video: Mapping[str, Any]) -> str:
        """Return the address of a file of ours at AI Studio, whatever host the answer names."""
        match = veo.FILE.search(str(video.get("uri")))
        if match is None:
            raise UpstreamError
        return f"{self._place.base_url}/files/{match[1]}:download?alt=media"

    @property
    def _interactions(self) -> str:
        return f"{self._place.base_url}/interactions"

    async def _sent(self, request: HttpRequest) -> None:
        """Send what has no answer that matters."""
        answer = await self._http.open(request)
        async for _ in answer.chunks:
            pass

    async def _with_videos(self, request: HttpRequest) -> Mapping[str, Any]:
        """Return an operation. Raises `OutputTooLarge` if its videos are: it would be so each time."""
        answer = await self._http.open(request)
        body = bytearray()
        async for chunk in answer.chunks:
            body += chunk
            if len(body) > MAX_VIDEOS:
                raise OutputTooLarge
        return _checked(await asyncio.to_thread(upstream_json.read_whole, bytes(body)))

    async def _answer(self, request: HttpRequest) -> Mapping[str, Any]:
        return _checked((await self._http.json(request)).value)


def _checked(value: Any) -> Mapping[str, Any]:
    """Return an answer with status 200. Raises `UpstreamError` if it is an error in place of one."""
    if not isinstance(value, Mapping) or ("error" in value and "name" not in value):
        raise UpstreamError
    return value


def _made(submission: MediaSubmission, files: list[DataFile]) -> Submitted:
    return Submitted(Work(ANSWERED, submission.reference).id, media_data.outputs(files))


def at_studio(provider: Provider, client: httpx2.AsyncClient) -> GeminiMedia:
    rules = HttpRules(key_in(KEY_HEADER, provider), explain=errors.of_media)
    place = Place(provider.base_url.rstrip("/"), "models", vertex=False, signal=signals.OF_KIND[provider.kind])
    return GeminiMedia(MediaHttp(client, provider, rules), place)

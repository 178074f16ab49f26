"""Speech from ElevenLabs. Its answer is the sound itself, which goes into storage as it comes."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import cast

import httpx2

from domain.catalog import Capability, Provider
from domain.errors import AdapterFault, RetentionDenied, UpstreamError
from domain.media import MediaRequest
from domain.privacy import PrivacyClass
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.elevenlabs import request as speech
from providers.elevenlabs import voices
from providers.elevenlabs.errors import explained
from providers.media_http import Download, HttpRequest, HttpRules, MediaHttp, key_in

TIMEOUT = timedelta(minutes=2)
"""Until the first sound of a long text."""
NO_SOUND = ("text/", "application/json")
HISTORY, REQUEST = "history:", "request:"
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


class ElevenLabsMedia:
    """Implements `providers.base.MediaProvider`."""

    find_is_complete = False

    def __init__(self, provider: Provider, http: httpx2.AsyncClient) -> None:
        self._http = MediaHttp(http, provider, HttpRules(key_in("xi-api-key", provider), explain=explained))
        self._base_url = provider.base_url
        self._voices = voices.of(provider)
        self._logging = Capability.DISABLE_LOGGING not in provider.capabilities

    async def submit(self, submission: MediaSubmission) -> Submitted:
        """Order the speech. Raises `RetentionDenied` if it may not be kept and ElevenLabs would keep it."""
        request = submission.request
        if self._logging and request.privacy is PrivacyClass.ZERO_RETENTION:
            raise RetentionDenied
        path = speech.path(request, self._voices, logging=self._logging)
        order = HttpRequest(f"{self._base_url}{path}", json=speech.body(request), timeout=TIMEOUT, answers=True)
        download = await self._http.open(order)
        return Submitted(_job_id(download.headers, submission.reference), _sound(request, download))

    async def find(self, reference: str) -> str | None:
        return None

    async def poll(self, provider_job_id: str) -> Progress:
        """Never called: the sound came with the answer, or never comes."""
        return Progress(Stage.FAILED, failure=UpstreamError.code)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        raise UpstreamError
        yield

    async def cancel(self, provider_job_id: str) -> Progress:
        return await self.poll(provider_job_id)

    async def discard(self, provider_job_id: str) -> None:
        """Delete the speech from the history of our account there, which has its text."""
        if not provider_job_id.startswith(HISTORY):
            return
        url = f"{self._base_url}/history/{provider_job_id.removeprefix(HISTORY)}"
        try:
            await self._http.json(HttpRequest(url, "DELETE"))
        except UpstreamError as error:
            if error.status not in (400, 404, 422):  # it is deleted already
                raise


async def _sound(request: MediaRequest, download: Download) -> AsyncIterator[OutputFile]:
    if download.content_type.startswith(NO_SOUND):
        async with aclosing(cast("AsyncGenerator[bytes, None]", download.chunks)) as chunks:
            await anext(chunks, b"")  # what was not begun cannot be closed
        raise AdapterFault
    _, content_type, extension = speech.format_of(request)
    yield OutputFile(content_type, extension, download.chunks)


def _job_id(headers: Mapping[str, str], reference: str) -> str:
    """Return the id in its history, if it keeps one."""
    for prefix, name in ((HISTORY, "history-item-id"), (REQUEST, "request-id")):
        value = headers.get(name, "")
        if _ID.fullmatch(value):
            return f"{prefix}{value}"
    return f"{REQUEST}{reference}"

"""A base of doubles of media providers: what they were sent, and the faults that each of them may have.

A word in brackets in the prompt chooses a fault: "a cat [broken]". "a cat [busy-once]" has it the first time only.
"""

import asyncio
import re
from abc import abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles import media_files
from tests.support.doubles.threaded_app import ThreadedApp

STATUSES = {"busy": 429, "unavailable": 503, "broken": 500, "refused": 400, "unauthorized": 401, "no-model": 404}
SECRET = "SECRET"
"""In every text of a vendor: it may be in nothing that a caller or an operator sees."""
HUGE = 300 * 1024 * 1024
"""Bytes that an answer claims to have: more than anybody should read."""
_WORD = re.compile(r"\[([a-z0-9-]+)\]")


@dataclass(slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


@dataclass(slots=True)
class Video:
    """One that was accepted."""

    prompt: str
    fault: str
    polls: int = 0


@dataclass(slots=True)
class MediaDouble(ThreadedApp):
    seen: list[Seen] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    """What the vendor would bill, by prompt."""
    _tried: Counter[str] = field(default_factory=Counter)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def failed(self, status: int, text: str = SECRET) -> web.Response:
        """An error in the vendor's own envelope, with its hint when to come back."""

    async def note(self, request: web.Request) -> Any:
        """Remember the request, and return its JSON body."""
        body = await request.json() if request.body_exists else None
        self.seen.append(Seen(request.method, request.path_qs, dict(request.headers), body))
        return body

    def fault(self, prompt: str) -> str:
        """The fault that this prompt chooses this time, or an empty string."""
        match = _WORD.search(prompt)
        if match is None:
            return ""
        fault = match[1]
        self._tried[prompt] += 1
        if fault.endswith("-once"):
            return fault.removesuffix("-once") if self._tried[prompt] == 1 else ""
        return fault

    async def spoiled(self, request: web.Request, fault: str, prompt: str) -> web.StreamResponse | None:
        """The answer of a submission with a fault that any vendor may have. None: it goes on as usual."""
        if fault in STATUSES:
            return self.failed(STATUSES[fault])
        if fault == "slow":
            await asyncio.sleep(0.5)
            return None
        if fault == "lost":
            self.accepted[prompt] += 1
            return hung_up(request)
        if fault == "page":
            return web.Response(text=f"<html>{SECRET}</html>", content_type="text/html")
        if fault == "garbage":
            return web.Response(body=b'{"a": [' + SECRET.encode(), content_type="application/json")
        if fault == "huge":
            return await endless(request)
        return None

    def spoiled_poll(self, request: web.Request, video: Video) -> web.Response | None:
        """Count a poll. Return the answer of the first one with a fault that any vendor may have."""
        video.polls += 1
        if video.polls > 1:
            return None
        if video.fault == "lost-poll":
            return hung_up(request)
        status = {"broken-poll": 500, "busy-poll": 429}.get(video.fault)
        return None if status is None else self.failed(status)


async def film(request: web.Request, video: Video) -> web.StreamResponse:
    """The content of a video, or what its fault puts in its place."""
    if video.fault == "huge-video":
        return await endless(request, "video/mp4")
    contents = {"wrong-type": f"<html>{SECRET}</html>".encode(), "empty": b""}
    return web.Response(body=contents.get(video.fault, media_files.film()), content_type="video/mp4")


def hung_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def endless(request: web.Request, content_type: str = "application/json") -> web.StreamResponse:
    """An answer that is too long for anybody."""
    response = web.StreamResponse(headers={"content-type": content_type, "content-length": str(HUGE)})
    await response.prepare(request)
    piece = b" " * (1 << 20)
    try:
        for _ in range(HUGE // len(piece)):
            await response.write(piece)
    except (ConnectionError, asyncio.CancelledError):
        return response
    return response

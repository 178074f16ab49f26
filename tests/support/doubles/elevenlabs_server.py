"""A provider that speaks ElevenLabs' text to speech over real HTTP.

What follows `--` in the model's name chooses how it behaves. The answer is the sound itself, in pieces; what it cost is
in a header. As at ElevenLabs, 401 is also an empty quota, and 429 has two meanings.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.support.doubles import media_files
from tests.support.doubles.scripted_vendor import ScriptedVendor, cut
from tests.support.doubles.seen_requests import Seen

KEY = "sk_elevenlabs_0123456789"
VOICES = {"21m00Tcm4TlvDq8ikWAM": "Rachel", "EXAVITQu4vr4xnSDxMaL": "Sarah"}
SECRET = "SECRET of the vendor"
"""In each of its messages. Nothing of it may reach a client or a log."""
FIELDS = frozenset(
    {"text", "model_id", "voice_settings", "language_code", "seed", "previous_text", "next_text"}
    | {"previous_request_ids", "next_request_ids", "pronunciation_dictionary_locators", "apply_text_normalization"}
)
EXTENSIONS = {"mp3": "mp3", "wav": "wav", "opus": "ogg", "pcm": "pcm"}
"""Of the codecs in `output_format`."""
TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/opus", "pcm": "audio/pcm"}
Problem = tuple[int, dict[str, Any], dict[str, str]]


def _problem(status: int, name: str, headers: dict[str, str] | None = None) -> Problem:
    return status, {"detail": {"status": name, "message": f"{SECRET}: {name}"}}, headers or {}


AT_ONCE: dict[str, Problem] = {
    "crowded": _problem(429, "too_many_concurrent_requests", {"maximum-concurrent-requests": "3"}),
    "busy": _problem(429, "system_busy", {"retry-after": "1"}),
    "unavailable": _problem(503, "service_unavailable"),
    "broken": _problem(500, "internal_server_error"),
    "unpaid": _problem(401, "quota_exceeded"),
    "long": _problem(400, "max_character_limit_exceeded"),
    "policy": _problem(400, "content_against_policy"),
    "rejected": (422, {"detail": [{"loc": ["body", "text"], "msg": SECRET, "type": "value_error"}]}, {}),
    "standard": _problem(403, "zero_retention_not_allowed"),
}
"""Answers in place of a sound. The first three of them speak at the second attempt."""
BODIES: dict[str, bytes] = {"html": media_files.HTML, "empty": b"", "json": b'{"detail": {"status": "SECRET"}}'}


@dataclass(slots=True)
class ElevenLabsServer(ScriptedVendor):
    spoken: Counter[str] = field(default_factory=Counter)
    """Texts that it made sounds of and bills, by behaviour."""
    history: set[str] = field(default_factory=set)
    """Ids of what it keeps: each text that was sent without `enable_logging=false`."""

    def submissions(self, behaviour: str) -> int:
        return self.spoken[behaviour]

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/text-to-speech/{voice}", self._speak)
        app.router.add_post("/v1/text-to-speech/{voice}/stream", self._speak)
        app.router.add_get("/v2/voices", self._voices)
        app.router.add_delete("/v1/history/{id}", self._forget)

    async def _voices(self, request: web.Request) -> web.Response:
        if (error := await self._unauthorized(request)) is not None:
            return _answered(error)
        voices = [{"voice_id": id_, "name": name, "category": "premade"} for id_, name in VOICES.items()]
        return web.json_response({"voices": voices, "has_more": False, "total_count": len(voices)})

    async def _forget(self, request: web.Request) -> web.Response:
        if (error := await self._unauthorized(request)) is not None:
            return _answered(error)
        if request.match_info["id"] not in self.history:
            return _answered(_problem(400, "history_item_not_found"))
        self.history.remove(request.match_info["id"])
        return web.json_response({"status": "ok"})

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        error = await self._unauthorized(request) or _mistake(request, self.seen[-1].body)
        if error is not None:
            return _answered(error)
        body = self.seen[-1].body
        behaviour = body["model_id"].partition("--")[2]
        if (problem := self.problem(behaviour, AT_ONCE)) is not None:
            return _answered(problem)
        self.spoken[behaviour] += 1
        if behaviour == "lost":
            cut(request)
        return await self._sound(request, behaviour, len(body["text"]))

    async def _sound(self, request: web.Request, behaviour: str, characters: int) -> web.StreamResponse:
        codec = request.query.get("output_format", "mp3_44100_128").partition("_")[0]
        headers = {
            "content-type": {"html": "text/html", "json": "application/json"}.get(behaviour, TYPES[codec]),
            "request-id": uuid4().hex,
            "history-item-id": uuid4().hex[:20],
            "character-cost": str(characters),
            "current-concurrent-requests": "1",
            "maximum-concurrent-requests": "5",
        }
        if request.query.get("enable_logging") == "false":
            del headers["history-item-id"]
        else:
            self.history.add(headers["history-item-id"])
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        content = BODIES.get(behaviour, media_files.sound(EXTENSIONS[codec]))
        await response.write(content[:1000])
        while behaviour == "huge":
            await response.write(bytes(65536))
        if behaviour in ("never", "slow"):
            await asyncio.sleep(600 if behaviour == "never" else 1)
        if behaviour == "cut":
            cut(request)
        await response.write(content[1000:])
        return response

    async def _unauthorized(self, request: web.Request) -> Problem | None:
        self.seen.append(await Seen.of(request))
        known = request.headers.get("xi-api-key") == KEY and "authorization" not in request.headers
        return None if known else _problem(401, "invalid_api_key")


def _mistake(request: web.Request, body: dict[str, Any]) -> Problem | None:
    """What ElevenLabs refuses in any request; a field that it does not know, too, which it would ignore."""
    if request.match_info["voice"] not in VOICES:
        return _problem(404, "voice_not_found")
    if request.query.get("output_format", "mp3_44100_128").partition("_")[0] not in EXTENSIONS:
        return _problem(400, "invalid_output_format")
    if not 0.7 <= body.get("voice_settings", {}).get("speed", 1) <= 1.2:
        return _problem(400, "invalid_voice_settings")
    if not body.get("text") or body.keys() - FIELDS:
        return AT_ONCE["rejected"]
    return None


def _answered(problem: Problem) -> web.Response:
    status, body, headers = problem
    return web.json_response(body, status=status, headers=headers)

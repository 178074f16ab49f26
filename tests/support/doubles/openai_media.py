"""OpenAI as a maker of images, speech and transcripts over real HTTP. It has no jobs: each answer is the output."""

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import BodyPartReader, web

from tests.support.doubles import media_files
from tests.support.doubles.media_double import SECRET, MediaDouble, Seen, endless

IMAGE = {"model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression", "moderation"}
EDIT = IMAGE | {"image", "image[]", "mask", "input_fidelity"}
TRANSCRIPT = {"model", "prompt", "file", "response_format", "language", "temperature", "timestamp_granularities[]"}
SPEECH = {"model", "input", "voice", "response_format", "speed", "instructions"}
SPOKEN = "The lake lies still."
TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/ogg"}


@dataclass(slots=True)
class OpenAIMediaServer(MediaDouble):
    key: ClassVar[str] = "openai-media-key-0123"
    files: list[tuple[str, bytes]] = field(default_factory=list)
    """The files of edits, by the names of their fields."""

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/images/generations", self._generated)
        app.router.add_post("/v1/images/edits", self._edited)
        app.router.add_post("/v1/audio/speech", self._spoken)
        app.router.add_post("/v1/audio/transcriptions", self._transcribed)

    def failed(self, status: int, text: str = SECRET, code: str | None = None) -> web.Response:
        headers = {"retry-after": "1"} if status in (429, 503) else {}
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": code}
        return web.json_response({"error": error}, status=status, headers=headers)

    def _wrong(self, request: web.Request, body: dict[str, Any], known: set[str]) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.failed(401, f"Incorrect API key provided: {SECRET}", "invalid_api_key")
        unknown = [name for name in body if name not in known]
        return self.failed(400, f"Unknown parameter: '{unknown[0]}'.", "unknown_parameter") if unknown else None

    async def _generated(self, request: web.Request) -> web.StreamResponse:
        return await self._images(request, await self.note(request), IMAGE)

    async def _form(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = {}
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            assert part.name is not None
            content = bytes(await part.read())
            if part.filename is not None:
                self.files.append((part.name, content))
            text = content.decode() if part.filename is None else ""
            body[part.name] = [*body.get(part.name, []), text] if part.name.endswith("s[]") else text
        self.seen.append(Seen(request.method, request.path_qs, dict(request.headers), body))
        return body

    async def _edited(self, request: web.Request) -> web.StreamResponse:
        return await self._images(request, await self._form(request), EDIT)

    async def _transcribed(self, request: web.Request) -> web.StreamResponse:
        body = await self._form(request)
        if (wrong := self._wrong(request, body, TRANSCRIPT)) is not None:
            return wrong
        prompt = body.get("prompt", "")
        fault = self.fault(prompt)
        if (spoiled := await self._spoiled(request, fault, prompt)) is not None:
            return spoiled
        self.accepted[prompt] += 1
        match body.get("response_format", "json"):
            case "text" | "srt" | "vtt" as form:
                return web.Response(text=f"{form}: {SPOKEN}\n")
            case "verbose_json":
                segment = {"id": 0, "start": 0.0, "end": 0.5, "text": SPOKEN}
                known = {"task": "transcribe", "language": "english", "duration": 0.5, "text": SPOKEN}
                return web.json_response(known | {"segments": [segment], "x_secret": SECRET})
        usage = {"type": "duration", "seconds": 1}
        return web.json_response({"usage": usage} | ({} if fault == "none" else {"text": SPOKEN}))

    async def _images(self, request: web.Request, body: dict[str, Any], known: set[str]) -> web.StreamResponse:
        if (wrong := self._wrong(request, body, known)) is not None:
            return wrong
        fault, n = self.fault(body["prompt"]), int(body.get("n", 1))
        if (spoiled := await self._spoiled(request, fault, body["prompt"])) is not None:
            return spoiled
        self.accepted[body["prompt"]] += 1
        content = {"wrong-type": media_files.HTML, "empty": b""}.get(fault, media_files.picture())
        image = {"b64_json": base64.b64encode(content).decode()}
        images = [image] * {"fewer": n - 1, "more": n + 1, "none": 0}.get(fault, n)
        usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
        details = {"input_tokens_details": {"text_tokens": 10, "image_tokens": 0}}
        answer = {"created": 1, "output_format": "png", "size": "64x48", "data": images, "usage": usage | details}
        return web.json_response(answer)

    async def _spoken(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (wrong := self._wrong(request, body, SPEECH)) is not None:
            return wrong
        fault = self.fault(body["input"])
        if (spoiled := await self._spoiled(request, fault, body["input"])) is not None:
            return spoiled
        self.accepted[body["input"]] += 1
        name = body.get("response_format", "mp3")
        content = b"" if fault == "empty" else media_files.sound(name)
        return web.Response(body=content, content_type=TYPES[name])

    async def _spoiled(self, request: web.Request, fault: str, prompt: str) -> web.StreamResponse | None:
        if fault == "moderation":
            return self.failed(400, SECRET, "moderation_blocked")
        if fault == "unpaid":
            return self.failed(429, SECRET, "insufficient_quota")
        if fault == "huge":
            return await endless(request)
        return await self.spoiled(request, fault, prompt)

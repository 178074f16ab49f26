"""Google as a maker of media over real HTTP: images and speech, Veo, and videos by interactions.

It is AI Studio and Vertex AI, with Google's token endpoint. As at Google, an unknown field is an error, and so is a key
in the address.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.support.doubles import media_files, omni_interactions, veo_operations
from tests.support.doubles.media_double import MediaDouble, endless
from tests.support.doubles.omni_interactions import Interaction
from tests.support.doubles.veo_operations import Operation
from tests.support.gemini_answers import SECRET, error, response, retry_info, text

STATUS_NAMES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
STATUS_NAMES |= {500: "INTERNAL", 503: "UNAVAILABLE"}
BODY = {"contents", "generationConfig", "store", "safetySettings"}
CONFIG = {"responseModalities", "imageConfig", "speechConfig", "seed", "candidateCount"}
RATIOS = {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"}
SIZES = {"512", "1K", "2K", "4K"}
PROJECT = "/v1beta1/projects/{project}/locations/{location}/publishers/google/models/"


def inline(media_type: str, content: bytes, **fields: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": base64.b64encode(content).decode()}, **fields}


def _ended(reason: str) -> dict[str, Any]:
    return {"candidates": [{"content": {}, "finishReason": reason, "finishMessage": SECRET, "index": 0}]}


PICTURE = inline("image/png", media_files.picture())
ENDS: dict[str, Callable[[], dict[str, Any]]] = {
    "moderated": lambda: _ended("IMAGE_SAFETY"),
    "prohibited": lambda: _ended("PROHIBITED_CONTENT"),
    "no-image": lambda: _ended("NO_IMAGE"),
    "blocked": lambda: {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": SECRET}},
    "empty": lambda: response(text(SECRET), finish="STOP"),
    "no-candidates": lambda: {"candidates": []},
    "wrong-type": lambda: response(inline("image/png", b"<html>SECRET</html>"), finish="STOP"),
    "not-base64": lambda: response({"inlineData": {"mimeType": "image/png", "data": "%%%"}}, finish="STOP"),
    "error-with-200": lambda: error(500, "INTERNAL"),
}
"""What Google answers with status 200 that is not what was asked for."""


@dataclass(slots=True)
class GoogleMedia(MediaDouble):
    key: ClassVar[str] = "gemini-media-key-0123"
    minted: list[str] = field(default_factory=list)
    operations: dict[str, Operation] = field(default_factory=dict)
    interactions: dict[str, Interaction] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    """Interactions that were deleted."""

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/token", self._token)
        app.router.add_post("/v1beta/models/{call}", self._called)
        app.router.add_post(PROJECT + "{call}", self._called)
        app.router.add_get("/v1beta/models/{model}/operations/{id}", self._operation)
        app.router.add_post("/v1beta/interactions", self._interaction_begun)
        app.router.add_get("/v1beta/interactions/{id}", self._interaction)
        app.router.add_post("/v1beta/interactions/{id}/cancel", self._interaction)
        app.router.add_delete("/v1beta/interactions/{id}", self._interaction)
        app.router.add_get("/v1beta/files/{file}", self._file)
        app.router.add_get("/download/{file}", self._download)

    def failed(self, status: int, text: str = SECRET) -> web.Response:
        details = [retry_info("1.4s")] if status in (429, 503) else []
        return web.json_response(error(status, STATUS_NAMES[status], text, *details), status=status)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if str(form["assertion"]).count(".") != 2:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.minted.append(f"media-token-{len(self.minted)}")
        return web.json_response({"access_token": self.minted[-1], "expires_in": 3599, "token_type": "Bearer"})

    def _unauthorized(self, request: web.Request) -> web.Response | None:
        if request.path.startswith("/v1beta1/"):
            known = request.headers.get("Authorization") in {f"Bearer {token}" for token in self.minted}
        else:
            known = request.headers.get("x-goog-api-key") == self.key and "key" not in request.query
        return None if known else self.failed(401)

    async def _called(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        model, _, method = request.match_info["call"].partition(":")
        if method == "fetchPredictOperation":
            return await self._answered(request, body["operationName"])
        vertex = request.path.startswith("/v1beta1/")
        wrong = veo_operations.fault(body, vertex) if method == "predictLongRunning" else _fault(body)
        if wrong is not None:
            return self.failed(400, wrong)
        prompt = _prompt(body)
        fault = self.fault(prompt)
        if (spoiled := await self.spoiled(request, fault, prompt)) is not None:
            return spoiled
        self.accepted[prompt] += 1
        if method == "predictLongRunning":
            return self._begun(request, body, fault)
        return web.json_response(_generated(model, body, fault))

    def _begun(self, request: web.Request, body: dict[str, Any], fault: str) -> web.Response:
        resource = re.sub(r"^/v1beta1?/", "", request.path).partition(":")[0]
        name = f"{resource}/operations/{len(self.operations)}"
        self.operations[name] = Operation(name, body, fault, vertex="projects/" in name)
        return web.json_response({} if fault == "no-id" else {"name": name})

    async def _operation(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        return await self._answered(request, request.path.removeprefix("/v1beta/"))

    async def _answered(self, request: web.Request, name: str) -> web.StreamResponse:
        operation = self.operations.get(name)
        if operation is None:
            return self.failed(404)
        fault = operation.fault_of_poll()
        if (spoiled := await self.spoiled(request, fault, name)) is not None:
            return spoiled
        if operation.fault == "huge-video" and operation.done:
            return await endless(request)
        return web.json_response(operation.answer(self.origin))

    async def _interaction_begun(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        if (wrong := omni_interactions.fault(body)) is not None:
            return self.failed(400, wrong)
        prompt = omni_interactions.prompt(body)
        fault = self.fault(prompt)
        if (spoiled := await self.spoiled(request, fault, prompt)) is not None:
            return spoiled
        self.accepted[prompt] += 1
        begun = Interaction(f"int_{len(self.interactions)}", body, fault)
        self.interactions[begun.id] = begun
        return web.json_response({} if fault == "no-id" else begun.answer(self.origin))

    async def _interaction(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        one = self.interactions.get(request.match_info["id"])
        if one is None or one.fault == "forgotten":
            return self.failed(404)
        if request.method == "DELETE":
            self.deleted.append(one.id)
            return web.json_response({})
        if request.method == "POST":
            one.cancelled = not one.done
        elif (spoiled := await self.spoiled(request, one.fault_of_poll(), one.id)) is not None:
            return spoiled
        return web.json_response(one.answer(self.origin))

    async def _file(self, request: web.Request) -> web.Response:
        """Google redirects a download; the key goes with it, as long as the host is the same."""
        await self.note(request)
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        if ":" not in request.match_info["file"]:
            return web.json_response({"name": f"files/{request.match_info['file']}", "state": "ACTIVE"})
        raise web.HTTPFound(f"/download/{request.match_info['file'].partition(':')[0]}")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        if request.match_info["file"].endswith("-wrong-type"):
            return web.Response(text=f"<html>{SECRET}</html>", content_type="video/mp4")
        return web.Response(body=media_files.film(), content_type="video/mp4")


def _prompt(body: dict[str, Any]) -> str:
    if "instances" in body:
        return str(body["instances"][0].get("prompt", ""))
    return " ".join(part["text"] for part in body["contents"][0]["parts"] if "text" in part)


def _fault(body: dict[str, Any]) -> str | None:
    """What Google would say against a request to generate, or None."""
    config = body.get("generationConfig", {})
    unknown = [*(body.keys() - BODY), *(config.keys() - CONFIG)]
    image = config.get("imageConfig", {})
    unknown += image.keys() - {"aspectRatio", "imageSize", "imageOutputOptions"}
    if unknown:
        return f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
    if image.get("aspectRatio", "1:1") not in RATIOS or image.get("imageSize", "1K") not in SIZES:
        return "image_config is not valid"
    if [content.get("role", "user") for content in body["contents"]] != ["user"]:
        return "contents: one turn of the user"
    if config.get("candidateCount", 1) != 1:
        return "Multiple candidates is not enabled for this model"
    speaks = "AUDIO" in config.get("responseModalities", [])
    speech = _in_camel_case(config.get("speechConfig", {}))
    voice = speech.get("voiceConfig", {}).get("prebuiltVoiceConfig", {}).get("voiceName", "")
    return "speech_config: a voice" if speaks and not voice else None


def _in_camel_case(value: Any) -> Any:
    """Google takes names in either form, and its SDK sends both."""
    if not isinstance(value, dict):
        return value
    return {re.sub(r"_(.)", lambda match: match[1].upper(), name): _in_camel_case(each) for name, each in value.items()}


def _generated(model: str, body: dict[str, Any], fault: str) -> dict[str, Any]:
    if fault in ENDS:
        return ENDS[fault]()
    if "AUDIO" in body["generationConfig"]["responseModalities"]:
        if "3.8" in model:
            part = inline("audio/wav", media_files.sound("wav"))
        else:
            part = inline("audio/L16;codec=pcm;rate=24000", media_files.sound("pcm"))
        return response(part, finish="STOP")
    thought = inline("image/png", media_files.picture(8, 8), thought=True)
    return response(text("Here it is."), thought, PICTURE, finish="STOP")

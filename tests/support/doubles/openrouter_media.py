"""OpenRouter as a maker of images and videos over real HTTP: `/images`, images in a chat's answer, and `/videos`."""

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.support.doubles import media_files
from tests.support.doubles.media_double import SECRET, MediaDouble, Video, film

IMAGE = {"model", "prompt", "n", "size", "resolution", "aspect_ratio", "quality", "background", "output_format"}
IMAGE |= {"output_compression", "seed", "input_references", "provider"}
CHAT = {"model", "messages", "modalities", "image_config", "provider", "seed", "stream"}
VIDEO = {"model", "prompt", "duration", "resolution", "aspect_ratio", "size", "frame_images", "input_references"}
VIDEO |= {"generate_audio", "seed"}
TYPES = {"blocked": (403, "content_policy_violation"), "no-provider": (404, "not_found")}
TYPES |= {"no-credit": (402, "payment_required")}
POLLS = 2
USAGE = {"prompt_tokens": 9, "completion_tokens": 1120, "total_tokens": 1129, "cost": 0.0339}


@dataclass(slots=True)
class OpenRouterMedia(MediaDouble):
    key: ClassVar[str] = "sk-or-media-0123"
    videos: dict[str, Video] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.origin}/api/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/api/v1/images", self._images)
        app.router.add_post("/api/v1/chat/completions", self._chat)
        app.router.add_post("/api/v1/videos", self._submitted)
        app.router.add_get("/api/v1/videos/{id}", self._polled)
        app.router.add_get("/api/v1/videos/{id}/content", self._content)

    def failed(self, status: int, text: str = SECRET, error_type: str = "unmapped") -> web.Response:
        headers = {"Retry-After": "1"} if status in (429, 503) else {}
        return web.json_response(_error(status, text, error_type), status=status, headers=headers)

    def _wrong(self, request: web.Request, body: dict[str, Any] | None, known: set[str]) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.failed(401)
        unknown = sorted((body or {}).keys() - known)
        return self.failed(400, f"Unrecognized key: {unknown[0]}") if unknown else None

    async def _faulty(self, request: web.Request, prompt: str, fault: str) -> web.StreamResponse | None:
        if fault in TYPES:
            status, error_type = TYPES[fault]
            return self.failed(status, error_type=error_type)
        if (spoiled := await self.spoiled(request, fault, prompt)) is not None:
            return spoiled
        self.accepted[prompt] += 1
        if fault == "error-with-200":
            return web.json_response(_error(502, SECRET, "provider_unavailable"))
        if fault == "blocked-with-200":
            return web.json_response(_error(403, SECRET, "content_policy_violation"))
        return None

    async def _images(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (wrong := self._wrong(request, body, IMAGE)) is not None:
            return wrong
        if not {"zdr", "data_collection"}.isdisjoint(body.get("provider", {})):
            return self.failed(400, "provider: not for images")
        prompt, fault = body["prompt"], self.fault(body["prompt"])
        if (faulty := await self._faulty(request, prompt, fault)) is not None:
            return faulty
        count = {"empty": 0, "partly": 1}.get(fault, body.get("n", 1))
        encoded = base64.b64encode(_picture(fault)).decode()
        data = [{"b64_json": encoded, "media_type": "image/png"}] * count
        return web.json_response({"created": 0, "data": data, "usage": USAGE})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (wrong := self._wrong(request, body, CHAT)) is not None:
            return wrong
        content = body["messages"][0]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"]
        fault = self.fault(prompt)
        if (faulty := await self._faulty(request, prompt, fault)) is not None:
            return faulty
        message: dict[str, Any] = {"role": "assistant", "content": SECRET}
        if fault not in ("empty", "filtered"):
            url = f"data:image/png;base64,{base64.b64encode(_picture(fault)).decode()}"
            message["images"] = [{"type": "image_url", "image_url": {"url": url}}]
        finish = "content_filter" if fault == "filtered" else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        whole = {"id": "gen-1", "object": "chat.completion", "created": 0, "model": body["model"], "usage": USAGE}
        whole["system_fingerprint"] = None
        return web.json_response(whole | {"choices": [choice]})

    async def _submitted(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (wrong := self._wrong(request, body, VIDEO)) is not None:
            return wrong
        prompt, fault = body["prompt"], self.fault(body["prompt"])
        if (faulty := await self._faulty(request, prompt, fault)) is not None:
            return faulty
        video_id = f"gen-vid-{len(self.videos)}"
        self.videos[video_id] = Video(prompt, fault)
        if fault == "no-id":
            return web.json_response({"status": "pending"}, status=202)
        return web.json_response(
            {"id": video_id, "polling_url": f"/api/v1/videos/{video_id}", "status": "pending"}, status=202
        )

    async def _polled(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        if (wrong := self._wrong(request, None, set())) is not None:
            return wrong
        video_id = request.match_info["id"]
        video = self.videos.get(video_id)
        if video is None or video.fault == "forgotten":
            return self.failed(404)
        if (spoiled := self.spoiled_poll(request, video)) is not None:
            return spoiled
        return web.json_response({"id": video_id, "polling_url": request.path, **self._state(video_id, video)})

    def _state(self, video_id: str, video: Video) -> dict[str, Any]:
        if video.polls < POLLS or video.fault == "never":
            return {"status": "pending" if video.polls < POLLS else "in_progress"}
        if video.fault in ("fails", "expires", "cancels"):
            status = {"fails": "failed", "expires": "expired", "cancels": "cancelled"}[video.fault]
            return {"status": status, "error": SECRET}
        if video.fault == "moderated":
            return {"status": "failed", "error": "content policy violation: SECRET"}
        content = [f"{self.url}/videos/{video_id}/content?index=0"]
        signed = [f"{self.origin}/signed/{video_id}"]
        urls = {} if video.fault == "empty" else {"unsigned_urls": content, "urls": signed}
        return {"status": "completed", "usage": {"cost": 0.4}} | urls

    async def _content(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        if (wrong := self._wrong(request, None, set())) is not None:
            return wrong
        return await film(request, self.videos[request.match_info["id"]])


def _error(status: int, text: str, error_type: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": text, "metadata": {"error_type": error_type, "raw": SECRET}}}


def _picture(fault: str) -> bytes:
    return b"<html>SECRET</html>" if fault == "wrong-type" else media_files.picture()

"""xAI as a maker of images and videos over real HTTP. Its errors have a code and a text, and no envelope."""

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.support.doubles import media_files
from tests.support.doubles.media_double import SECRET, MediaDouble, Video, film

IMAGE = {"model", "prompt", "n", "response_format", "aspect_ratio", "resolution", "quality"}
EDIT = IMAGE | {"image", "images"}
VIDEO = {"model", "prompt", "duration", "aspect_ratio", "resolution", "image", "reference_images"}
RATIOS = {"1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "auto"}
POLLS = 2


@dataclass(slots=True)
class TimedVideo(Video):
    seconds: int = 8


@dataclass(slots=True)
class XaiMedia(MediaDouble):
    key: ClassVar[str] = "xai-media-key-0123"
    videos: dict[str, TimedVideo] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/images/generations", self._images)
        app.router.add_post("/v1/images/edits", self._images)
        app.router.add_post("/v1/videos/generations", self._submitted)
        app.router.add_get("/v1/videos/{id}", self._polled)
        app.router.add_get("/vidgen/{id}.mp4", self._video)

    def failed(self, status: int, text: str = SECRET) -> web.Response:
        headers = {"Retry-After": "1"} if status in (429, 503) else {}
        return web.json_response({"code": "an error", "error": text}, status=status, headers=headers)

    def _wrong(self, request: web.Request, body: dict[str, Any], known: set[str]) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.failed(400, "Incorrect API key provided")
        unknown = [name for name in body if name not in known]
        if unknown or body.get("aspect_ratio", "1:1") not in RATIOS:
            return self.failed(422, f"Argument not supported: {unknown}")
        return None

    async def _images(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        edits = request.path.endswith("/edits")
        if (wrong := self._wrong(request, body, EDIT if edits else IMAGE)) is not None:
            return wrong
        given = [body["image"]] if "image" in body else body.get("images", [])
        if edits and any(each["type"] != "image_url" or not each["url"].startswith("data:image/") for each in given):
            return self.failed(400, "image")
        prompt, fault = body["prompt"], self.fault(body["prompt"])
        if (spoiled := await self.spoiled(request, fault, prompt)) is not None:
            return spoiled
        if fault == "rejected":
            return self.failed(400, "Generated image rejected by content moderation.")
        self.accepted[prompt] += 1
        images = [self._image(index, body, fault) for index in range(body.get("n", 1))]
        headers = {"x-zero-data-retention": "false"} if fault == "kept" else {}
        usage = {"cost_in_usd_ticks": 200000000}
        return web.json_response({"data": [] if fault == "empty" else images, "usage": usage}, headers=headers)

    def _image(self, index: int, body: dict[str, Any], fault: str) -> dict[str, Any]:
        if fault == "moderated" or (fault == "partly" and index):
            return {"url": "", "respect_moderation": False}
        if body.get("response_format") != "b64_json":
            return {"url": f"{self.origin}/imgen/{index}.jpeg", "mime_type": "image/png"}
        content = b"<html>SECRET</html>" if fault == "wrong-type" else media_files.picture()
        return {"b64_json": base64.b64encode(content).decode(), "mime_type": "image/png"}

    async def _submitted(self, request: web.Request) -> web.StreamResponse:
        body = await self.note(request)
        if (wrong := self._wrong(request, body, VIDEO)) is not None:
            return wrong
        if not 1 <= body.get("duration", 8) <= 15 or body.get("resolution", "720p") not in ("480p", "720p", "1080p"):
            return self.failed(400, "duration or resolution")
        prompt, fault = body["prompt"], self.fault(body["prompt"])
        if (spoiled := await self.spoiled(request, fault, prompt)) is not None:
            return spoiled
        self.accepted[prompt] += 1
        video_id = f"c84748c1-{len(self.videos)}"
        self.videos[video_id] = TimedVideo(prompt, fault, seconds=body.get("duration", 8))
        return web.json_response({} if fault == "no-id" else {"request_id": video_id})

    async def _polled(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        video_id = request.match_info["id"]
        video = self.videos.get(video_id)
        if video is None or video.fault == "forgotten":
            return self.failed(404)
        if (early := self._early(request, video)) is not None:
            return early
        if video.fault in ("fails", "expires"):
            status = {"fails": "failed", "expires": "expired"}[video.fault]
            return web.json_response({"status": status, "error": {"code": "internal", "message": SECRET}})
        if video.fault == "rejected-late":
            rejected = {"code": "content_moderation", "message": SECRET}
            return web.json_response({"status": "failed", "error": rejected})
        return web.json_response(self._done(video_id, video))

    def _early(self, request: web.Request, video: TimedVideo) -> web.Response | None:
        if (spoiled := self.spoiled_poll(request, video)) is not None:
            return spoiled
        if video.polls == 1 and video.fault != "quick":
            return web.Response(status=202)
        if video.polls < POLLS or video.fault == "never":
            return web.json_response({"status": "pending", "progress": 40}, status=202)
        return None

    def _done(self, video_id: str, video: TimedVideo) -> dict[str, Any]:
        url = f"{self.origin}/vidgen/{video_id}.mp4"
        if video.fault == "elsewhere":
            url = "http://127.0.0.2:9/x.mp4"
        document = {"url": url, "duration": video.seconds, "respect_moderation": video.fault != "moderated"}
        if video.fault == "moderated":
            document["url"] = ""
        usage = {"cost_in_usd_ticks": 500000000}
        done = {"status": "done", "model": "grok-imagine-video", "usage": usage, "progress": 100}
        return done if video.fault == "empty" else done | {"video": document}

    async def _video(self, request: web.Request) -> web.StreamResponse:
        """Of a public host: no key is asked for, and none should come."""
        await self.note(request)
        return await film(request, self.videos[request.match_info["id"]])

"""A server with the API that OpenAI had for Sora, over real HTTP: create, poll, content, delete."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.support.doubles.media_double import SECRET, MediaDouble, Seen, Video, film

KNOWN = {"model", "prompt", "seconds", "size", "seed", "input_reference"}
SIZES = {"720x1280", "1280x720", "1024x1792", "1792x1024"}
POLLS = 2
ENDS = {"fails": "internal_error", "moderated": "moderation_blocked"}


@dataclass(slots=True)
class SizedVideo(Video):
    seconds: str = "4"
    size: str = "720x1280"


@dataclass(slots=True)
class SoraServer(MediaDouble):
    key: ClassVar[str] = "sora-key-0123"
    videos: dict[str, SizedVideo] = field(default_factory=dict)
    pictures: list[bytes] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/videos", self._created)
        app.router.add_get("/v1/videos/{id}", self._polled)
        app.router.add_get("/v1/videos/{id}/content", self._content)
        app.router.add_delete("/v1/videos/{id}", self._deleted)

    def failed(self, status: int, text: str = SECRET) -> web.Response:
        headers = {"retry-after": "1"} if status in (429, 503) else {}
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
        return web.json_response({"error": error}, status=status, headers=headers)

    def _wrong(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.failed(401)
        if not body.keys() <= KNOWN or not isinstance(body.get("seconds", "4"), str):
            return self.failed(400, "unknown parameter")
        return None if body.get("size", "720x1280") in SIZES else self.failed(400, "size")

    async def _body(self, request: web.Request) -> dict[str, Any]:
        if request.content_type == "application/json":
            return dict(await self.note(request))
        form = await request.post()
        body = {name: value for name, value in form.items() if isinstance(value, str)}
        self.pictures += [value.file.read() for value in form.values() if isinstance(value, web.FileField)]
        self.seen.append(Seen(request.method, request.path_qs, dict(request.headers), body))
        return body

    async def _created(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if (wrong := self._wrong(request, body)) is not None:
            return wrong
        prompt, fault = body["prompt"], self.fault(body["prompt"])
        if (spoiled := await self.spoiled(request, fault, prompt)) is not None:
            return spoiled
        self.accepted[prompt] += 1
        video_id = f"video_{len(self.videos)}"
        self.videos[video_id] = SizedVideo(
            prompt, fault, seconds=body.get("seconds", "4"), size=body.get("size", "720x1280")
        )
        return web.json_response({} if fault == "no-id" else self._shown(video_id, "queued"))

    async def _polled(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        video_id = request.match_info["id"]
        video = self.videos.get(video_id)
        if (wrong := self._wrong(request, {})) is not None:
            return wrong
        if video is None or video.fault == "forgotten" or video_id in self.deleted:
            return self.failed(404)
        if (spoiled := self.spoiled_poll(request, video)) is not None:
            return spoiled
        if video.polls < POLLS or video.fault == "never":
            return web.json_response(self._shown(video_id, "in_progress", progress=40))
        if video.fault in ENDS:
            error = {"code": ENDS[video.fault], "message": SECRET}
            return web.json_response(self._shown(video_id, "failed", error=error))
        return web.json_response(self._shown(video_id, "completed", progress=100))

    def _shown(self, video_id: str, status: str, **changes: Any) -> dict[str, Any]:
        video = self.videos[video_id]
        shown = {"id": video_id, "object": "video", "model": "sora-2", "status": status, "progress": 0, "created_at": 1}
        unset = dict.fromkeys(("completed_at", "expires_at", "remixed_from_video_id", "error"))
        return shown | unset | {"size": video.size, "seconds": video.seconds, "prompt": video.prompt} | changes

    async def _content(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        if (wrong := self._wrong(request, {})) is not None:
            return wrong
        return await film(request, self.videos[request.match_info["id"]])

    async def _deleted(self, request: web.Request) -> web.StreamResponse:
        await self.note(request)
        video_id = request.match_info["id"]
        if video_id not in self.videos or video_id in self.deleted:
            return self.failed(404)
        self.deleted.add(video_id)
        return web.json_response({"id": video_id, "deleted": True, "object": "video.deleted"})

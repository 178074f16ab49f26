"""A provider that speaks Replicate's predictions over real HTTP, with the public host of its files.

What follows `--` in the model's name chooses how it behaves. As at Replicate, a fresh prediction lacks `output`,
`started_at` and `metrics`, and the output is a string, a list or an object, as its model likes.
"""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.support.doubles import media_files
from tests.support.doubles.scripted_vendor import ScriptedJob, ScriptedVendor, answer_as, endless
from tests.support.doubles.seen_requests import Seen

KEY = "r8_0123456789abcdef"
VERSION = "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"
SECRET = "SECRET of the vendor"
"""In each of its messages. Nothing of it may reach a client or a log."""
LOGS = f"Prompt: {SECRET}\n  0%|          | 0/50 [00:00<?, ?it/s]\n 42%|████▏     | 21/50 [00:01<00:01, 16.24it/s]\n"
Problem = tuple[int, dict[str, Any], dict[str, str]]


def _problem(status: int, title: str, headers: dict[str, str] | None = None, **more: Any) -> Problem:
    return status, {"title": title, "detail": SECRET, "status": status} | more, headers or {}


AT_CREATE: dict[str, Problem] = {
    "busy": _problem(429, "Too many requests", {"retry-after": "1"}, retry_after=1),
    "unavailable": _problem(503, "Service unavailable"),
    "broken": _problem(500, "Internal server error"),
    "unpaid": _problem(402, "Insufficient credit"),
    "gone": _problem(404, "Not found"),
    "rejected": _problem(422, "Input validation failed", invalid_fields=[{"field": "input.width", "type": "lte"}]),
}
"""Answers in place of a prediction. `busy` and `unavailable` accept the second attempt."""
USUAL = ["starting", "processing", "succeeded"]
SCRIPTS: dict[str, list[str]] = {
    "never": ["processing"],
    "waiting": ["starting"],
    "early": ["succeeded"],
    "strange": ["queued", "processing", "succeeded"],
    "failed": ["processing", "failed"],
    "policy": ["processing", "failed"],
    "aborted": ["starting", "aborted"],
    "stopped": ["processing", "canceled"],
    "shaky": ["500", "429", "malformed", "succeeded"],
    "lost": ["starting", "404"],
}
"""What the polls of a prediction get, in order. The last one is repeated."""
ERRORS = {
    "failed": f"CUDA out of memory: {SECRET}",
    "policy": f"NSFW content detected. {SECRET} (E005)",
}
FILES: dict[str, bytes] = {"html": media_files.HTML, "empty": b"", "string": media_files.film()}


@dataclass(slots=True)
class Prediction(ScriptedJob):
    id: str = field(default_factory=lambda: uuid4().hex[:26])
    model: str = ""
    version: str = VERSION
    input: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class ReplicateServer(ScriptedVendor):
    predictions: dict[str, Prediction] = field(default_factory=dict)

    def submissions(self, behaviour: str) -> int:
        """How many predictions of this behaviour it made."""
        return sum(job.behaviour == behaviour for job in self.predictions.values())

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/models/{owner}/{name}/predictions", self._create)
        app.router.add_post("/v1/predictions", self._create)
        app.router.add_get("/v1/predictions", self._list)
        app.router.add_get("/v1/predictions/{id}", self._get)
        app.router.add_post("/v1/predictions/{id}/cancel", self._cancel)
        app.router.add_get("/pbxt/{name}", self._file)

    async def _create(self, request: web.Request) -> web.Response:
        if (unauthorized := await self._note(request)) is not None:
            return unauthorized
        body, model = self.seen[-1].body, "/".join(request.match_info.values())
        model, _, version = (model or body.get("version", "")).partition(":")
        if (error := _mistake(request, body)) is not None:
            return _answered(error)
        behaviour = model.partition("--")[2]
        if (problem := self.problem(behaviour, AT_CREATE)) is not None:
            return _answered(problem)
        job = Prediction(behaviour, SCRIPTS.get(behaviour, USUAL), version=version or VERSION, input=body["input"])
        job.model = model.partition("--")[0]
        self.predictions[job.id] = job
        await answer_as(request, behaviour)
        shown = self._shown(job, "starting")
        if behaviour == "nameless":
            del shown["id"]
        return web.json_response(shown, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        """The newest first. `input` is not in a list."""
        if (unauthorized := await self._note(request)) is not None:
            return unauthorized
        shown = [self._shown(job, job.state) for job in reversed(self.predictions.values())]
        return web.json_response({"next": None, "previous": None, "results": shown[:100]})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        job = await self._known(request)
        if isinstance(job, web.Response):
            return job
        state, job.polls = job.state, job.polls + 1
        if job.behaviour == "slow":
            await asyncio.sleep(1)
        if state in ("404", "429", "500"):
            return _answered(_problem(int(state), "Failed", {"retry-after": "1"}))
        if state == "malformed":
            return web.Response(text=SECRET, content_type="application/json")
        if job.behaviour == "huge-result" and state == "succeeded":
            return await endless(request, b'{"output": [' + b" " * 65536, "application/json")
        return web.json_response(self._shown(job, state))

    async def _cancel(self, request: web.Request) -> web.Response:
        job = await self._known(request)
        if isinstance(job, web.Response):
            return job
        if job.state in ("starting", "processing") and job.behaviour != "stubborn":
            job.script = ["canceled"]
        return web.json_response(self._shown(job, job.state))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(await Seen.of(request))
        name = request.match_info["name"].partition(".")[0]
        if name == "missing":
            return web.Response(status=404)
        if name == "huge":
            return await endless(request, media_files.picture() + bytes(65536), "image/png")
        return web.Response(body=FILES.get(name, media_files.picture()), content_type="application/octet-stream")

    def _shown(self, job: Prediction, state: str) -> dict[str, Any]:
        url = f"{self.url}/v1/predictions/{job.id}"
        shown: dict[str, Any] = {
            "id": job.id,
            "model": job.model,
            "version": job.version,
            "input": job.input,
            "logs": "" if state == "starting" else LOGS,
            "error": None,
            "status": state,
            "created_at": "2026-11-16T11:46:16.064900134Z",
            "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{job.id}"},
        }
        if state == "starting":
            return shown
        shown["started_at"] = "2026-11-16T11:46:16.539915Z"
        if state == "processing":
            return shown
        ended = {"completed_at": "2026-11-16T11:46:22.064427Z", "metrics": {"predict_time": 5.5}, "output": None}
        if state == "failed":
            return shown | ended | {"error": ERRORS[job.behaviour]}
        if state == "succeeded":
            return shown | ended | {"output": self._output(job), "data_removed": job.behaviour == "removed"}
        return shown | ended

    def _output(self, job: Prediction) -> Any:
        origin = "http://elsewhere.invalid" if job.behaviour == "elsewhere" else self.url
        url = f"{origin}/pbxt/{job.behaviour or 'plain'}.png"
        shapes: dict[str, Any] = {
            "string": f"{self.url}/pbxt/string.mp4",
            "object": {"image": url, "seed": 7, "caption": SECRET},
            "nested": {"images": [{"url": url}, {"url": url}]},
            "none": [],
            "null": None,
            "removed": None,
            "words": f"The picture shows {SECRET}",
            "half": [url.replace("half", "plain"), url.replace("half", "missing")],
        }
        count = job.input.get("num_outputs", 1) - (job.behaviour == "fewer")
        return shapes.get(job.behaviour, [url] * count)

    async def _note(self, request: web.Request) -> web.Response | None:
        self.seen.append(await Seen.of(request))
        if request.headers.get("authorization") == f"Bearer {KEY}":
            return None
        return _answered(_problem(401, "Unauthenticated"))

    async def _known(self, request: web.Request) -> Prediction | web.Response:
        if (unauthorized := await self._note(request)) is not None:
            return unauthorized
        return self.predictions.get(request.match_info["id"]) or _answered(_problem(404, "Not found"))


def _mistake(request: web.Request, body: dict[str, Any]) -> Problem | None:
    """What Replicate refuses in any request. A model's address has its version already."""
    by_version = request.path == "/v1/predictions"
    after = request.headers.get("cancel-after")
    seconds = after and re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", after)
    if after is not None and (not seconds or _seconds(seconds) < 5):
        return _problem(400, "Bad Cancel-After")
    if not isinstance(body.get("input"), dict) or ("version" in body) is not by_version:
        return _problem(422, "Unprocessable Entity")
    if by_version and not re.fullmatch(r"([\w.-]+/[\w.-]+:)?[0-9a-f]{64}", body["version"]):
        return _problem(422, "Invalid version or not permitted")
    return None


def _seconds(match: re.Match[str]) -> int:
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _answered(problem: Problem) -> web.Response:
    status, body, headers = problem
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")

"""A provider that speaks fal's queue over real HTTP, with the public hosts of its files.

What follows `--` in the model's name chooses how it behaves. As at fal, the addresses of a request lack the sub-path of
its model, a status of `COMPLETED` does not mean success, and files are given to anyone who has their address.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiohttp import web

from tests.support.doubles import media_files
from tests.support.doubles.scripted_vendor import ScriptedJob, ScriptedVendor, answer_as, endless
from tests.support.doubles.seen_requests import Seen

KEY = "fal-key-id:fal-key-secret"
SECRET = "SECRET of the vendor"
"""In each of its messages. Nothing of it may reach a client or a log."""
Answer = tuple[int, Any, dict[str, str]]


def _flat(status: int, error_type: str, headers: dict[str, str] | None = None) -> Answer:
    body = {"detail": f"{SECRET}: {error_type}", "error_type": error_type}
    return status, body, {"x-fal-error-type": error_type} | (headers or {})


def _detail(error_type: str) -> Answer:
    error = {"loc": ["body", "prompt"], "msg": SECRET, "type": error_type, "input": SECRET}
    return 422, {"detail": [error | {"url": f"https://docs.fal.ai/errors#{error_type}"}]}, {"x-fal-retryable": "false"}


AT_SUBMIT: dict[str, Answer] = {
    "busy": (429, {"detail": SECRET}, {"retry-after": "1"}),
    "unavailable": (503, {"detail": SECRET}, {}),
    "broken": (500, {"detail": SECRET}, {}),
    "locked": (403, {"detail": f"User is locked. Reason: {SECRET}."}, {}),
    "gone": (404, {"detail": f"Application {SECRET} not found"}, {}),
    "rejected": _detail("value_error"),
    "refused": _detail("content_policy_violation"),
}
"""Answers in place of an acceptance. `busy` and `unavailable` accept the second attempt."""
AT_RESULT: dict[str, Answer] = {
    "policy": _detail("content_policy_violation"),
    "invalid": _detail("image_too_large"),
    "failed": _flat(503, "runner_disconnected"),
    "late": _flat(504, "request_timeout", {"x-fal-request-timeout-type": "user"}),
    "unwell": (500, {"detail": SECRET}, {}),
}
"""Results of requests whose status is `COMPLETED`. That of `unwell` mentions no error."""
USUAL = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
SCRIPTS: dict[str, list[str]] = {
    "never": ["IN_PROGRESS"],
    "waiting": ["IN_QUEUE"],
    "early": ["COMPLETED"],
    "strange": ["PAUSED", "IN_PROGRESS", "COMPLETED"],
    "shaky": ["500", "429", "malformed", "COMPLETED"],
    "lost": ["IN_QUEUE", "404"],
}
"""What the polls of a request get, in order. The last one is repeated."""
FILES: dict[str, bytes] = {"html": media_files.HTML, "empty": b"", "nsfw": media_files.picture(black=True)}


@dataclass(slots=True)
class FalRequest(ScriptedJob):
    app: str = ""
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)
    cancelled: bool = False


@dataclass(slots=True)
class FalServer(ScriptedVendor):
    requests: dict[str, FalRequest] = field(default_factory=dict)
    """What it accepted, by its own ids."""

    def submissions(self, behaviour: str) -> int:
        """How many requests of this behaviour it accepted."""
        return sum(request.behaviour == behaviour for request in self.requests.values())

    def routes(self, app: web.Application) -> None:
        request = "/{app:[^/]+/[^/]+}/requests/{id}"
        app.router.add_get("/files/{name}", self._file)
        app.router.add_get(request + "/status", self._status)
        app.router.add_get(request, self._result)
        app.router.add_put(request + "/cancel", self._cancel)
        app.router.add_post("/{model:.+}", self._submit)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        model = request.match_info["model"]
        behaviour = model.partition("--")[2]
        if (unauthorized := await self._note(request)) is not None:
            return unauthorized
        if (problem := self.problem(behaviour, AT_SUBMIT)) is not None:
            return _answered(problem)
        app = "/".join(model.split("/")[:2])
        accepted = FalRequest(behaviour, SCRIPTS.get(behaviour, USUAL), app=app, arguments=self.seen[-1].body)
        self.requests[id_ := str(uuid4())] = accepted
        await answer_as(request, behaviour)
        if behaviour == "nameless":
            return web.json_response({"status": "IN_QUEUE", "queue_position": 0})
        origin = "http://elsewhere.invalid" if behaviour == "wandering" else self.url
        base = f"{origin}/{accepted.app}/requests/{id_}"
        urls = {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}
        return web.json_response({"request_id": id_, "status": "IN_QUEUE", "queue_position": 0, "logs": None} | urls)

    async def _status(self, request: web.Request) -> web.Response:
        accepted = await self._known(request)
        if isinstance(accepted, web.Response):
            return accepted
        state, accepted.polls = accepted.state, accepted.polls + 1
        if accepted.behaviour == "slow":
            await asyncio.sleep(1)
        if state in ("404", "429", "500"):
            return web.json_response({"detail": SECRET}, status=int(state), headers={"retry-after": "1"})
        if state == "malformed":
            return web.Response(text=SECRET, status=200)
        body: dict[str, Any] = {"status": state, "request_id": request.match_info["id"], "logs": None}
        if state == "IN_QUEUE":
            return web.json_response(body | {"queue_position": 0}, status=202)
        if state != "COMPLETED":
            return web.json_response(body, status=202)
        error = _error_of(accepted)
        return web.json_response(body | {"metrics": {"inference_time": 0.5}} | error)

    async def _result(self, request: web.Request) -> web.StreamResponse:
        accepted = await self._known(request)
        if isinstance(accepted, web.Response):
            return accepted
        if accepted.cancelled:
            return _answered(_flat(499, "client_cancelled"))
        if accepted.state != "COMPLETED":
            return web.json_response({"detail": "Request is still in progress"}, status=400)
        if accepted.behaviour in AT_RESULT:
            return _answered(AT_RESULT[accepted.behaviour])
        if accepted.behaviour == "huge-result":
            return await endless(request, b'{"images": [' + b" " * 65536, "application/json")
        return web.json_response(self._output(accepted))

    async def _cancel(self, request: web.Request) -> web.Response:
        accepted = await self._known(request)
        if isinstance(accepted, web.Response):
            return accepted
        if accepted.state == "COMPLETED":
            return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
        if accepted.behaviour != "stubborn":
            accepted.cancelled = True
            was, accepted.script = accepted.state, ["COMPLETED"]
            if was == "IN_QUEUE":
                return web.json_response({"status": "OK"})
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(await Seen.of(request))
        name = request.match_info["name"]
        if name.startswith("missing"):
            return web.json_response({"detail": SECRET}, status=404)
        if name.startswith("huge."):
            return await endless(request, media_files.picture() + bytes(65536), "image/png")
        extension = name.rpartition(".")[2]
        body = {"mp4": media_files.film, "mp3": media_files.sound}.get(extension, media_files.picture)()
        return web.Response(body=FILES.get(name.partition(".")[0], body), content_type="application/octet-stream")

    def _output(self, accepted: FalRequest) -> dict[str, Any]:
        files = f"{self.url}/files/{accepted.behaviour or 'plain'}"
        if accepted.behaviour == "video":
            video = {"url": f"{files}.mp4", "content_type": "video/mp4", "file_name": "o.mp4", "file_size": 2148}
            return {"video": video, "seed": 7}
        if accepted.behaviour == "audio":
            return {"audio": {"url": f"{files}.mp3", "content_type": "audio/mpeg"}}
        if accepted.behaviour == "elsewhere":
            files = "http://elsewhere.invalid/files/plain"
        count = 0 if accepted.behaviour == "none" else accepted.arguments.get("num_images", 1)
        image = {"url": f"{files}.png", "width": 64, "height": 48, "content_type": "image/png"}
        images = [image] * count
        if accepted.behaviour == "half":
            images[-1] = image | {"url": f"{self.url}/files/missing.png"}
        unsafe = [accepted.behaviour == "nsfw" or (accepted.behaviour == "mixed" and n == 0) for n in range(count)]
        return {"images": images, "seed": 7, "has_nsfw_concepts": unsafe, "prompt": SECRET, "timings": {}}

    async def _note(self, request: web.Request) -> web.Response | None:
        self.seen.append(await Seen.of(request))
        if request.headers.get("authorization") == f"Key {KEY}":
            return None
        return web.json_response({"detail": f"Cannot access application. {SECRET}"}, status=401)

    async def _known(self, request: web.Request) -> FalRequest | web.Response:
        if (unauthorized := await self._note(request)) is not None:
            return unauthorized
        known = self.requests.get(request.match_info["id"])
        if known is None or known.app != request.match_info["app"]:
            return web.json_response({"detail": "Request not found", "status": "NOT_FOUND"}, status=404)
        return known


def _error_of(accepted: FalRequest) -> dict[str, Any]:
    if accepted.cancelled:
        return {"error": f"{SECRET}: cancelled", "error_type": "client_cancelled"}
    answer = AT_RESULT.get(accepted.behaviour)
    if answer is None or accepted.behaviour == "unwell":
        return {}
    return {"error": SECRET, "error_type": answer[1].get("error_type", "bad_request")}


def _answered(answer: Answer) -> web.Response:
    status, body, headers = answer
    return web.json_response(body, status=status, headers=headers)

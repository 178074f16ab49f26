"""A provider that speaks OpenAI's chat completions over real HTTP. The model's name chooses its faults."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles import completions_wire, embeddings_wire, malformed_chunks, raw_answers, usage_variants
from tests.support.doubles.threaded_app import ThreadedApp

ANSWER = "The answer is four."
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
USAGES: dict[str, Any] = {
    "usage-missing": None,
    "usage-zero": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "usage-negative": {"prompt_tokens": -5, "completion_tokens": 3, "total_tokens": -2},
    "usage-absurd": {"prompt_tokens": 10**12, "completion_tokens": 3, "total_tokens": 10**12},
    "usage-text": {"prompt_tokens": "12", "completion_tokens": "3", "total_tokens": "15"},
    "usage-fraction": {"prompt_tokens": 1.5, "completion_tokens": 3, "total_tokens": 4.5},
    "usage-huge": {"prompt_tokens": 90_000, "completion_tokens": 200, "total_tokens": 90_200},
    "extras": {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 50, "audio_tokens": 100},
        "completion_tokens_details": {"audio_tokens": 60},
        "server_tool_use": {"web_search_requests": 2},
    },
    "usage-cached": {
        "prompt_tokens": 1000,
        "completion_tokens": 33,
        "total_tokens": 1033,
        "prompt_tokens_details": {"cached_tokens": 601, "cache_write_tokens": 102},
    },
}
WRITERS = ("writes", "reasons", "writes-on", "reasons-on")
"""To the limit, or on and on; with tokens that are seen, or only counted."""
ON_AND_ON = 30_000
WORD = " word"
"""One token."""
BODIES = {
    "html": ("text/html", b"<html>SECRET</html>"),
    "nested": ("application/json", b'{"choices":[' + b"[]," * 3_000_000 + b'[]],"usage":{}}'),
}
"""Answers that are none, and one that is nothing but work."""
STATUSES = {"busy": 429, "broken": 500, "overloaded": 529, "forbidden": 401, "lost": 404, "gateway": 502}


@dataclass(slots=True)
class Seen:
    """One request as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(slots=True)
class OpenAIServer(ThreadedApp):
    seen: list[Seen] = field(default_factory=list)
    aborted: threading.Event = field(default_factory=threading.Event)
    """Set when a client closed a stream before it was done."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def routes(self, app: web.Application) -> None:
        app.on_response_prepare.append(_add_retention_header)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/v1/models/{model}:batchEmbedContents", self._embed_as_gemini)

    async def _embed_as_gemini(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.seen.append(Seen(body, dict(request.headers)))
        status, answer = embeddings_wire.gemini_answer(request.match_info["model"], body)
        return web.json_response(answer, status=status)

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.seen.append(Seen(body, dict(request.headers)))
        status, answer = completions_wire.whole(body)
        if status != 200 or not body.get("stream"):
            return web.json_response(answer, status=status)
        return web.Response(body=b"".join(completions_wire.events(body)), content_type="text/event-stream")

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.seen.append(Seen(body, dict(request.headers)))
        if body["model"] == "embed-hang":
            await asyncio.to_thread(self.release.wait, 30)
        status, answer = embeddings_wire.answer(body)
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/html")
        return web.json_response(answer, status=status, headers={"retry-after": "7"} if status == 429 else {})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(body, dict(request.headers)))
        model = body["model"]
        if model in raw_answers.ANSWERS:
            return self._raw(raw_answers.ANSWERS[model])
        if model in STATUSES:
            error = {"message": "SECRET upstream text about your prompt", "type": "x", "param": None, "code": "y"}
            return web.json_response({"error": error}, status=STATUSES[model], headers={"retry-after": "7"})
        if model == "too-long":
            error = {"message": "SECRET", "type": "invalid_request_error", "param": "messages"}
            return web.json_response({"error": error | {"code": "context_length_exceeded"}}, status=400)
        if model in malformed_chunks.TELLING:
            error = {"message": "SECRET", "param": malformed_chunks.TELLING[model], "code": "unsupported_value"}
            return web.json_response({"error": error}, status=400)
        if model == "picky":
            error = {"message": "SECRET", "type": "invalid_request_error", "param": "temperature"}
            return web.json_response({"error": error | {"code": "unsupported_value"}}, status=400)
        if model in BODIES:
            content_type, content = BODIES[model]
            return web.Response(body=content, content_type=content_type)
        if model == "hang":
            await asyncio.to_thread(self.release.wait, 30)
        return await (self._stream(request, body) if body.get("stream") else self._whole(body))

    def _raw(self, raw: raw_answers.Raw) -> web.Response:
        headers = {**raw.headers, **({"Content-Type": raw.content_type} if raw.content_type else {})}
        return web.Response(body=raw.body, status=raw.status, headers=headers)

    async def _whole(self, body: dict[str, Any]) -> web.Response:
        if body["model"] in WRITERS:
            return self._written(body)
        if body["model"] in usage_variants.WHOLE:
            return web.json_response({"id": "u", "usage": USAGE} | usage_variants.WHOLE[body["model"]])
        if body["model"] in malformed_chunks.WHOLE:
            return web.json_response(malformed_chunks.WHOLE[body["model"]] | {"usage": USAGE})
        choices = [
            {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}
            for n in range(body.get("n") or 1)
        ]
        usage = USAGES.get(body["model"], USAGE)
        answer = {"id": "upstream-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        beside = malformed_chunks.CHATTY if body["model"] == "chatty" else {}
        return web.json_response(answer | beside | served_by(body) | {"choices": choices, "usage": usage})

    def _written(self, body: dict[str, Any]) -> web.Response:
        """All that the limit allows; the model that reasons shows none of it."""
        limit, count = written(body)
        text = "" if body["model"].startswith("reasons") else WORD * limit
        message = {"role": "assistant", "content": text}
        choices = [{"index": n, "finish_reason": "length", "message": message} for n in range(count)]
        return web.json_response(
            {"id": "u", "object": "chat.completion", "choices": choices, "usage": writers_usage(body)}
        )

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._script(body, lambda text: response.write(text.encode()))
        except (ConnectionResetError, asyncio.CancelledError):
            self.aborted.set()
            raise
        return response

    async def _script(self, body: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
        model = body["model"]
        scripted = malformed_chunks.STREAMED | malformed_chunks.COMPLETED | usage_variants.STREAMED
        if model in scripted:
            for chunk in scripted[model]:
                await write(f"data: {json.dumps(chunk)}\n\n")
            await write("data: [DONE]\n\n")
        elif model == "comments":
            while True:
                await write(": nothing yet\n\n" * 5000)
        elif model in WRITERS:
            await write(event(body, {"role": "assistant", "content": ""}))
            await self._write(body, write)
        else:
            await self._speak(body, write)

    async def _speak(self, body: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
        model = body["model"]
        await write(event(body, {"role": "assistant", "content": ""}))
        words = ANSWER.split(" ")
        for number, word in enumerate(words):
            await write(event(body, {"content": word if number == 0 else f" {word}"}))
            if model == "cut" and number == 1:
                return
            if model == "error-inside" and number == 1:
                await write('data: {"error": {"message": "SECRET", "code": 500}}\n\n')
                return
            if model == "garbage" and number == 1:
                await write("data: {not json\n\n")
                return
        while model == "endless":
            await asyncio.sleep(0.01)
            await write(event(body, {"content": " and more"}))
        await write(event(body, {}, finish="stop"))
        if body.get("stream_options", {}).get("include_usage") and USAGES.get(model, USAGE) is not None:
            await write(
                "data: " + json.dumps(frame(body) | {"choices": [], "usage": USAGES.get(model, USAGE)}) + "\n\n"
            )
        await write("data: [DONE]\n\n")

    async def _write(self, body: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
        """Writes until it is cut: a hundred words a chunk, as many tokens as the limit allows."""
        left, choices = written(body)
        while left:
            count = min(100, left)
            left -= count
            if not body["model"].startswith("reasons"):
                for index in range(choices):
                    await write(event(body, {"content": WORD * count}, index=index))
            await asyncio.sleep(0)
        for index in range(choices):
            await write(event(body, {}, finish="length", index=index))
        await write("data: " + json.dumps(frame(body) | {"choices": [], "usage": writers_usage(body)}) + "\n\n")
        await write("data: [DONE]\n\n")


async def _add_retention_header(request: web.Request, response: web.StreamResponse) -> None:
    if (await request.json()).get("model", "").endswith("retains"):
        response.headers["x-zero-data-retention"] = "false"


def written(body: dict[str, Any]) -> tuple[int, int]:
    """Tokens of each choice, and choices."""
    return (ON_AND_ON if body["model"].endswith("-on") else body["max_tokens"]), body.get("n") or 1


def writers_usage(body: dict[str, Any]) -> dict[str, int]:
    tokens, choices = written(body)
    return {"prompt_tokens": 10, "completion_tokens": tokens * choices, "total_tokens": 10 + tokens * choices}


def served_by(body: dict[str, Any]) -> dict[str, Any]:
    """The service tier, when one was requested: `downgraded` has no room in any but the usual one."""
    tier = body.get("service_tier")
    return {"service_tier": "default" if body["model"] == "downgraded" else tier} if tier else {}


def frame(body: dict[str, Any]) -> dict[str, Any]:
    beside = malformed_chunks.CHATTY if body["model"] == "chatty" else {}
    return (
        beside
        | served_by(body)
        | {"id": "upstream-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    )


def event(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None, index: int = 0) -> str:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return "data: " + json.dumps(frame(body) | {"choices": [choice]}) + "\n\n"

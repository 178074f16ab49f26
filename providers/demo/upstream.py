"""The demo chat as an upstream: it answers with OpenAI's bytes, from memory instead of a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import orjson
import structlog

from domain.errors import GatewayError, RequestInvalid, UpstreamError, UpstreamRefused
from providers import upstream_json
from providers.base import ChatCall, EmbeddingCall, Headers, Sink, Timeouts, UpstreamCall, UpstreamRequest
from providers.demo import embeddings, validation
from providers.demo.chat import DemoChat
from providers.openai.adapter import OpenAIAdapter
from providers.openai.embeddings import OpenAIEmbeddings

log = structlog.get_logger(__name__)

_JSON: Headers = {"content-type": "application/json"}
_EVENTS: Headers = {"content-type": "text/event-stream"}


class DemoAdapter(OpenAIAdapter):
    """OpenAI's wire. The demo's error messages are ours, so clients may see them."""

    def request(self, call: ChatCall) -> UpstreamRequest:
        validation.check_unsent(dict(call.body))
        return super().request(call)

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return _invalid(body) if status == 400 else super().error(call, status, headers, body)


class DemoEmbeddings(OpenAIEmbeddings):
    """The same for embeddings."""

    def error(self, call: EmbeddingCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return _invalid(body) if status == 400 else super().error(call, status, headers, body)


def _invalid(body: bytes) -> RequestInvalid:
    error: Mapping[str, Any] = orjson.loads(body)["error"]
    return RequestInvalid(error["message"], param=error["param"], code=error["code"])


class DemoTransport:
    """Implements `providers.base.Transport`. The demo takes as long as its prompt says, whatever the timeouts are."""

    def __init__(self, demo: DemoChat | None = None) -> None:
        self._demo = demo or DemoChat()
        self._running: set[asyncio.Task[None]] = set()

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        exchange = _DemoExchange(self._demo, request, sink)
        self._running.add(exchange.task)
        exchange.task.add_done_callback(self._running.discard)
        return exchange

    async def close(self) -> None:
        for task in list(self._running):
            task.cancel()
        await asyncio.sleep(0)


class _DemoExchange:
    """One call, answered by a task. Implements `providers.base.UpstreamCall`."""

    def __init__(self, demo: DemoChat, request: UpstreamRequest, sink: Sink) -> None:
        self._demo = demo
        self._sink = sink
        self._reading = asyncio.Event()
        self._reading.set()
        body = upstream_json.read_whole(request.body)
        answer = partial(self._embed, body) if request.url.endswith("/embeddings") else partial(self._chat, _call(body))
        self.task = asyncio.get_running_loop().create_task(self._run(answer))

    def pause(self) -> None:
        self._reading.clear()

    def resume(self) -> None:
        self._reading.set()

    def close(self) -> None:
        if self.task is asyncio.current_task():  # its own sink closes it, and is not called again
            self._sink = _Nobody()
        else:
            self.task.cancel()

    async def _run(self, answer: Callable[[], Awaitable[None]]) -> None:
        try:
            await answer()
        except Exception as fault:  # a fault of the demo is an error, as with any provider
            log.error("the demo broke", fault=type(fault).__name__)
            self._sink.fail(UpstreamError())

    async def _chat(self, call: ChatCall) -> None:
        await (self._stream(call) if call.stream else self._answer(partial(self._demo.complete, call)))

    async def _embed(self, body: dict[str, Any]) -> None:
        await self._answer(partial(asyncio.to_thread, embeddings.answer, body))

    async def _answer(self, make: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        try:
            body = await make()
        except GatewayError as failure:
            self._refuse(failure)
        else:
            self._whole(200, body)

    async def _stream(self, call: ChatCall) -> None:
        begun = False
        try:
            async with aclosing(self._demo.stream(call)) as chunks:
                async for chunk in chunks:
                    await self._reading.wait()
                    if not begun:
                        begun = True
                        self._sink.head(200, _EVENTS)
                    self._sink.data(b"data: " + orjson.dumps(chunk) + b"\n\n")
        except GatewayError as failure:
            if begun:  # as when a connection breaks
                self._sink.fail(UpstreamError())
            else:
                self._refuse(failure)
        else:
            self._sink.data(b"data: [DONE]\n\n")
            self._sink.end()

    def _refuse(self, failure: GatewayError) -> None:
        """Answer with the status that a remote provider would send."""
        status = 500
        if isinstance(failure, RequestInvalid):
            status = 400
        elif isinstance(failure, UpstreamRefused):
            status = 404
        param = getattr(failure, "param", None)
        kind = "server_error" if status == 500 else "invalid_request_error"
        error = {"message": failure.message, "type": kind, "param": param, "code": failure.code}
        self._whole(status, {"error": error})

    def _whole(self, status: int, body: dict[str, Any]) -> None:
        self._sink.head(status, _JSON)
        self._sink.data(orjson.dumps(body))
        self._sink.end()


class _Nobody:
    """A sink that ignores everything."""

    def head(self, status: int, headers: Headers) -> None: ...

    def data(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def fail(self, error: GatewayError) -> None: ...


def _call(body: dict[str, Any]) -> ChatCall:
    """Make the call of a parsed body."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    return ChatCall(body["model"], body, limit, stream=bool(body.get("stream")))

"""A provider that speaks OpenAI's chat and misbehaves before, in or after its answer. The model's name chooses how.

It is a server of bytes: it can break off in the middle of a header. Runs in a thread of its own.
"""

import asyncio
import json
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
TEXT = "The answer is four."
_ERROR = {"error": {"message": "SECRET", "type": "x", "param": None, "code": None}}


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _event(delta: dict[str, Any], finish: str | None = None, **beside: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + _json({"id": "u", "object": "chat.completion.chunk", "choices": [choice], **beside}) + b"\n\n"


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WHOLE = response(
    200,
    _json(
        {
            "id": "u",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    ),
)
VECTORS = response(
    200, _json({"data": [{"index": 0, "embedding": [0.5, 0.25]}], "usage": {"prompt_tokens": 5, "total_tokens": 5}})
)
STREAM = b"".join(
    [STREAM_HEAD, _event({"role": "assistant", "content": TEXT}), _event({}, "stop", usage=USAGE), b"data: [DONE]\n\n"]
)
BYTES: dict[str, bytes] = {
    "limited": response(429, _json(_ERROR), Retry_After="30"),
    "limited-soon": response(429, _json(_ERROR), Retry_After_Ms="50"),
    "broken": response(500, _json(_ERROR)),
    "empty-503": response(503),
    "forbidden": response(401, _json(_ERROR)),
    "mid-headers": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "half": WHOLE[:-40],
    "page": response(200, b"<html>SECRET</html>"),
    "role-then-cut": STREAM_HEAD + _event({"role": "assistant", "content": ""}),
    "nothing": b"",
}
"""What is answered before the connection is closed."""
POISONS: dict[str, bytes] = {
    "key limit": response(403, _json({"error": {"message": "Key limit exceeded", "code": 403}})),
    "no file": response(403, _json({"error": {"message": "You do not have permission to access the File SECRET."}})),
    "firewall": response(403, b"<html>SECRET</html>"),
    "moderation": response(403, _json({"error": "Content violates usage guidelines. SECRET", "code": "x"})),
    "cannot afford": response(402, _json({"error": {"message": "can only afford 7 tokens", "code": 402}})),
    "no credits": response(429, _json({"error": {"message": "SECRET", "code": "insufficient_quota"}})),
    "too large": response(429, _json({"error": {"message": "Request too large on tokens per min"}}), Retry_After="60"),
    "no model": response(404, _json({"error": {"message": "model SECRET not found"}})),
    "quotes": response(400, _json({"error": {"message": "invalid api key: SECRET"}})),
    "unsupported": response(
        400, _json({"error": {"message": "x", "param": "temperature", "code": "unsupported_value"}})
    ),
    "too long": response(413, _json({"error": {"message": "SECRET"}})),
    "not processed": response(422, _json({"detail": [{"loc": ["body", "n"], "msg": "SECRET", "type": "int"}]})),
    "poison": response(500, _json(_ERROR)),
    "overloaded": response(503, _json(_ERROR), Retry_After="60"),
    "cut": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "hang up": b"",
}
"""What a vendor may answer to the content or the parameters of one request, by its prompt. `slow` hangs."""
REFUSES = response(400, _json({"error": {"message": "x", "param": "temperature", "code": "unsupported_value"}}))


@dataclass
class MisbehavingServer:
    port: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """By model."""
    keys: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    max_running: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    """What the model `held` waits for."""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._visit, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        server.close()
        self._loop.close()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
            body = json.loads(await reader.readexactly(int(fields[b"content-length"])))
            key = fields.get(b"authorization", b"").decode().removeprefix("bearer ")
            self.bodies.append(body)
            self.keys.append(key)
            self.requests[body["model"]] += 1
            self.running += 1
            self.max_running = max(self.max_running, self.running)
            try:
                if body["model"] == "hang" or (body["model"], _prompt(body)) == ("content", "slow"):
                    await reader.read()
                else:
                    await self._answer(body, key, writer)
            finally:
                self.running -= 1
        writer.close()

    async def _answer(self, body: dict[str, Any], key: str, writer: asyncio.StreamWriter) -> None:
        model: str = body["model"]
        if model == "slow":
            await asyncio.sleep(0.2)
        if model == "held":
            await asyncio.to_thread(self.released.wait, 60)
        if model == "words-then-cut" and body.get("stream"):
            writer.write(STREAM_HEAD + _event({"role": "assistant", "content": "one two three"}))
        elif model == "refuses":
            writer.write(REFUSES)
        else:
            writer.write(self._bytes(body, key))
        await writer.drain()

    def _bytes(self, body: dict[str, Any], key: str) -> bytes:
        model, good = body["model"], STREAM if body.get("stream") else WHOLE
        if model == "by-key" and key in ("forbidden", "limited"):
            return BYTES[key]
        if model.startswith("once-") and self.requests[model] % 2:
            return BYTES[model.removeprefix("once-")]
        if model == "content" and _prompt(body) in POISONS:
            return POISONS[_prompt(body)]
        if model == "retains":
            return good.replace(b"\r\n", b"\r\nX-Zero-Data-Retention: False\r\n", 1)
        if model == "vectors":
            return VECTORS
        return BYTES.get(model, good)


def _prompt(body: dict[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    return str(messages[-1].get("content"))

"""A provider for measurements: OpenAI's chat completions on loopback, as light as Python can be.

The model's name says how it answers:

- `plain`: at once
- `pace-20-200`: 200 chunks, one every 20 ms (a whole answer takes as long)
- `markdown-5-200`: 200 pieces of such a text, one every 5 ms, and more at once after a delay (`bench/texts.py` has all
  kinds)
- `cut-3`: breaks off after 3 chunks (a whole answer: after the head)
- `status-500`: refuses
- `unmetered`: reports no usage
- `dear-90000`: reports an input of so many tokens, whatever was sent
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import orjson
import uvloop

from bench import texts

BURST = 8
"""Chunks of a stream that has no pace."""
WORDS = (
    *("a gateway", " counts", " what", " passes", " through", " it,", " and", " nothing", " else:", " 42", " tokens"),
    *(" für", " naïve", " 東京", ' "quoted"', " \\n new", " line", " end", " of", " story."),
)
_HEAD = b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_REFUSED = b"HTTP/1.1 %d Refused\r\nserver: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
_END = b"0\r\n\r\n"
NOTHING = b"HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Behaviour:
    kind: str
    first: int = 0
    second: int = 0

    @classmethod
    def of(cls, model: str) -> "Behaviour":
        kind, *numbers = model.split("-")
        return cls(kind, *(int(number) for number in numbers[:2]))

    @property
    def cadence(self) -> float:
        return self.first / 1000 if self.kind == "pace" else 0.0

    @property
    def chunks(self) -> int:
        return {"pace": self.second, "cut": self.first}.get(self.kind, BURST)

    def usage(self, number: int) -> dict[str, int] | None:
        """Differs from call to call, so that a charge that went to another call shows."""
        if self.kind == "unmetered":
            return None
        prompt, completion = self.first if self.kind == "dear" else 20 + number % 90, 1 + number % 61
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def frame(data: bytes) -> bytes:
    """An event as a chunk of HTTP/1.1's chunked coding."""
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": [choice]}


FRAMES = [frame(orjson.dumps(_chunk({"content": word}))) for word in WORDS]
FIRST = frame(orjson.dumps(_chunk({"role": "assistant", "content": ""})))
LAST = frame(orjson.dumps(_chunk({}, "stop")))
DONE = frame(b"[DONE]") + _END


def whole(number: int, usage: dict[str, int] | None) -> bytes:
    text = "".join(WORDS[(number + n) % len(WORDS)] for n in range(12))
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    answer = {"id": f"up-{number}", "object": "chat.completion", "created": 1, "model": "bench", "choices": [choice]}
    body = orjson.dumps(answer | ({"usage": usage} if usage else {}))
    return _HEAD % len(body) + body


def _closing(usage: dict[str, int] | None) -> bytes:
    if usage is None:
        return LAST + DONE
    return LAST + frame(orjson.dumps(_chunk({}) | {"choices": [], "usage": usage})) + DONE


class Answering(asyncio.Protocol):
    """One connection; its requests come one after the other."""

    served = 0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = content_length(self._buffer[:head])
        if len(self._buffer) < head + 4 + length:
            return
        body, self._buffer = self._buffer[head + 4 : head + 4 + length], self._buffer[head + 4 + length :]
        if not body:
            self._write(NOTHING)
            return
        Answering.served += 1
        self._answer(orjson.loads(body), Answering.served)

    def _answer(self, request: dict[str, Any], number: int) -> None:
        behaviour = Behaviour.of(request["model"])
        if behaviour.kind == "status":
            error = orjson.dumps({"error": {"message": "no", "type": "x", "code": None}})
            self._write(_REFUSED % (behaviour.first, len(error), error))
        elif request.get("stream"):
            self._write(_STREAM + FIRST)
            if behaviour.kind in texts.KINDS:
                pieces = iter(texts.tokens(behaviour.kind, behaviour.second))
                self._write_text(behaviour, number, pieces, asyncio.get_running_loop().time())
            else:
                self._tick(behaviour, number, 0)
        elif behaviour.kind == "cut":
            self._write(_HEAD % 1000)
            self._close()
        else:
            answer = whole(number, behaviour.usage(number))
            self._later(behaviour.cadence * behaviour.second, lambda: self._write(answer))

    def _tick(self, behaviour: Behaviour, number: int, sent: int) -> None:
        """The next chunk; without a pace, all of them at once."""
        if behaviour.cadence == 0:
            self._write(b"".join(FRAMES[(number + n) % len(FRAMES)] for n in range(behaviour.chunks)))
            self._end(behaviour, number)
        elif sent == behaviour.chunks:
            self._end(behaviour, number)
        else:
            self._write(FRAMES[(number + sent) % len(FRAMES)])
            self._later(behaviour.cadence, lambda: self._tick(behaviour, number, sent + 1))

    def _write_text(self, behaviour: Behaviour, number: int, pieces: Iterator[str], due: float) -> None:
        """Write the pieces whose time has come."""
        now = asyncio.get_running_loop().time()
        while due <= now:
            piece = next(pieces, None)
            if piece is None:
                self._end(behaviour, number)
                return
            self._write(frame(orjson.dumps(_chunk({"content": piece}))))
            due += behaviour.first / 1000
        self._later(due - now, lambda: self._write_text(behaviour, number, pieces, due))

    def _end(self, behaviour: Behaviour, number: int) -> None:
        if behaviour.kind == "cut":
            self._close()
        else:
            self._write(_closing(behaviour.usage(number)))

    def _later(self, seconds: float, act: Any) -> None:
        if seconds == 0:
            act()
        else:
            self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

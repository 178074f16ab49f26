"""Writes answers in the form of OpenAI's chat completions: whole answers, and the chunks of a stream."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from api import errors
from domain.errors import GatewayError
from gateway import answers
from gateway.wire import Bill, CompletedAnswer, Head
from providers.base import Delta

DONE = b"data: [DONE]\n\n"
CHUNK_FIELDS = (*answers.ANSWER_FIELDS, "obfuscation")
"""Fields beside `choices` that a chunk may have. None is about the provider's accounts and hosts."""


def whole(answer: CompletedAnswer, bill: Bill) -> bytes:
    return answer.encoded[:-1] + b',"yout":' + orjson.dumps(yout(bill)) + b"}"


def yout(bill: Bill) -> dict[str, int]:
    return {"credits_charged": bill.charged, "balance": bill.balance}


class ChatCompletionStream:
    """Implements `gateway.wire.StreamWriter`."""

    KEEP_ALIVE: ClassVar = b": keep-alive\n\n"

    def __init__(self, head: Head) -> None:
        options = head.request.body.get("stream_options") or {}
        self._with_usage = options.get("include_usage") is True
        frame = {
            "id": head.id,
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.request.model,
        }
        self._begin = b"data: " + orjson.dumps(frame)[:-1] + b',"choices":'
        self._end = b',"usage":null}\n\n' if self._with_usage else b"}\n\n"

    def delta(self, delta: Delta) -> bytes:
        choices = orjson.dumps(delta.chunk["choices"])
        if beside := _beside(delta):
            return b"".join((self._begin, choices, b",", orjson.dumps(beside)[1:-1], self._end))
        return b"".join((self._begin, choices, self._end))

    def held(self, credits: int) -> bytes:
        return b""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        """Write the end. The last chunk has the cost of the call, and the usage if it was requested."""
        money = {"yout": yout(bill)}
        parts = [self.delta(delta) for delta in last[:-1]]
        if self._with_usage:
            parts += [self.delta(delta) for delta in last[-1:]]
            parts.append(self._final([], {"usage": answers.usage_object(bill.usage)} | money))
        else:
            parts += [self._final(delta.chunk["choices"], _beside(delta) | money) for delta in last[-1:]]
        return b"".join([*parts, DONE])

    def _final(self, choices: list[Any], beside: Mapping[str, Any]) -> bytes:
        return b"".join((self._begin, orjson.dumps(choices), b",", orjson.dumps(beside)[1:-1], b"}\n\n"))

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        """Write one chunk with the error, the billed usage and the cost, without `[DONE]`."""
        choices = [{"index": 0, "delta": {}, "finish_reason": "error"}]
        money = {} if bill is None else {"usage": answers.usage_object(bill.usage), "yout": yout(bill)}
        return self._final(choices, errors.envelope(errors.of(error)) | money)


def _beside(delta: Delta) -> dict[str, Any]:
    if len(delta.chunk) == 1:  # its choices
        return {}
    return {name: delta.chunk[name] for name in CHUNK_FIELDS if name in delta.chunk}

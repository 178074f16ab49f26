"""Writes streams in the form of Anthropic's Messages: named events, with one block open at a time.

A provider's own events pass as they are, but for id, model and usage. Others are made from OpenAI's chunks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from api import errors
from api.wire import anthropic_messages_answer as answer
from api.wire.anthropic_messages_blocks import Blocks
from domain.errors import GatewayError
from domain.ids import message_id
from domain.pricing import Usage, UsageSource
from gateway.wire import Bill, Head
from providers.base import Delta

_WITHHELD = ("message_delta", "message_stop", "ping", "error")
"""Events of a provider that this writer writes itself, when the charge has committed."""


def event(type_: str, /, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (type_.encode(), orjson.dumps({"type": type_, **fields}))


class MessageStream:
    """Implements `gateway.wire.StreamWriter`."""

    KEEP_ALIVE: ClassVar = event("ping")

    def __init__(self, head: Head) -> None:
        self._head = head
        self._id, self._model = message_id(head.id), head.request.model
        self._started = False
        self._native: bool | None = None
        """Whether the provider's own events are passed on. None before the first one."""
        self._open: int | None = None
        """The index of the provider's block that is open."""
        self._blocks = Blocks(event, thinks=answer.shows_thinking(head.request))

    def delta(self, delta: Delta) -> bytes:
        if self._native is None:
            self._native = delta.native is not None
        if self._native:  # a delta without the provider's event repeats what others say
            return b"" if delta.native is None else self._passed(delta.native)
        parts = [self._blocks.add(choice.get("delta") or {}) for choice in delta.chunk["choices"]]
        return b"".join([self._start(), *parts])

    def held(self, credits: int) -> bytes:
        return b""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        """Close the last block, then say why the message ended, what was used and what it cost."""
        fields = self._reason(last)
        closed = self._stop_open() if self._native else self._blocks.end()
        delta = event("message_delta", **fields, usage=answer.usage(bill.usage), yout=answer.yout(bill))
        return b"".join((self._start(), closed, delta, event("message_stop")))

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        """Write one event with the error, the billed usage and the cost, and no `message_stop`."""
        fields = answer.error_object(errors.of(error))
        money = {} if bill is None else {"usage": answer.usage(bill.usage), "yout": answer.yout(bill)}
        return event("error", error=fields, **money)

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        counted = Usage(self._head.input_tokens, 0, UsageSource.COUNTED)
        message: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
        return event("message_start", message={**self._frame(), **message, "usage": answer.usage(counted)})

    def _frame(self) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "role": "assistant", "model": self._model}

    def _passed(self, native: bytes) -> bytes:
        own: dict[str, Any] = orjson.loads(native)
        kind = str(own.get("type"))
        match kind:
            case "message_start":
                self._started = True
                return event(kind, message={**(own.get("message") or {}), **self._frame()})
            case "content_block_start":
                self._open = own.get("index")
            case "content_block_stop":
                self._open = None
        return b"" if kind in _WITHHELD else b"event: %s\ndata: %s\n\n" % (kind.encode(), native)

    def _stop_open(self) -> bytes:
        """Close a block that the provider left open, as at its limit."""
        index, self._open = self._open, None
        return b"" if index is None else event("content_block_stop", index=index)

    def _reason(self, last: Sequence[Delta]) -> dict[str, Any]:
        """Return the fields of `message_delta` but for the usage: the provider's own, or translated ones."""
        for delta in last:
            if delta.native is not None:
                own: Mapping[str, Any] = orjson.loads(delta.native)
                return {name: value for name, value in own.items() if name not in ("type", "usage")}
        choices = [choice for delta in last for choice in delta.chunk["choices"]]
        return {"delta": answer.stop_fields(choices[0] if choices else {}, self._head.request)}

"""`POST /api/chat/stream/`: chat as a stream of simple JSON events, for our own pages and for clients without an SDK.

start     {id, model, held, conversation_id?}                 held: credits that are set aside for this call
delta     {text}
reasoning {text}
tool_call {index, id?, name?, arguments?}   parts of one call have one index; the arguments grow
hold      {held}                            the call's hold has grown
done      {usage, credits_charged, balance, held, finish_reason, conversation_id?}
error     {code, message, …}                the last event of a stream that failed
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

import orjson

from api import errors, openapi_chat
from api.wire import openai_chat
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from domain.errors import GatewayError, RequestInvalid
from domain.visitors import Allowance
from gateway import answers
from gateway.wire import Bill, Head, ModelCall, SaveOptions, StreamWriter
from providers.base import Delta

_REASONING = ("reasoning_content", "reasoning")
_NOT_SENT = ("conversation_id", "save", "message", "n", "stop_on_disconnect", "stream")


class NativeChat(JsonWire):
    """Implements `api.wire.base.ClientWire`, with streams only."""

    path = endpoint = "/api/chat/stream/"
    operation = openapi_chat.NATIVE
    whole = None

    def parse(self, body: dict[str, Any]) -> ModelCall:
        if body.get("n") not in (None, 1):
            raise RequestInvalid("'n' must be 1 here: a stream has one answer.", param="n")
        fields = {name: value for name, value in body.items() if name not in _NOT_SENT}
        message = body.get("message")
        if message is not None:
            if body.get("messages") is not None:
                raise RequestInvalid("Send either 'message' or 'messages', not both.", param="messages")
            if not isinstance(message, str) or not message:
                raise RequestInvalid("'message' must be a text.", param="message", code="invalid_type")
            fields["messages"] = [{"role": "user", "content": message}]
        stops = _boolean(body, "stop_on_disconnect") or False
        call = openai_chat.parse(fields)
        return replace(call, stream=True, stop_on_disconnect=stops, save_options=_save_options(body))

    def takes(self, quoted: Quoted) -> bool:
        return any(quoted.has(name) for name in ("message", "save", "conversation_id", "stop_on_disconnect"))

    def writer(self, head: Head) -> StreamWriter:
        return NativeStream(head)

    def visitor_writer(self, head: Head, allowance: Callable[[], Allowance]) -> StreamWriter:
        return VisitorStream(head, allowance)


def _save_options(body: Mapping[str, Any]) -> SaveOptions | None:
    save, named = _boolean(body, "save"), body.get("conversation_id")
    if named is None:
        return None if save is False else SaveOptions(save)
    try:
        return SaveOptions(save, UUID(named))
    except (ValueError, AttributeError, TypeError):
        raise RequestInvalid("'conversation_id' must be the id of a conversation.", param="conversation_id") from None


def _boolean(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestInvalid(f"'{name}' must be a boolean.", param=name, code="invalid_type")
    return value


class NativeStream:
    """Implements `gateway.wire.StreamWriter`."""

    KEEP_ALIVE: ClassVar = b": keep-alive\n\n"

    def __init__(self, head: Head) -> None:
        self._head = head
        self._held = head.held
        self._started = False

    def _start(self) -> bytes:
        """Write `start` before the first output, not earlier: until then a failure is answered with its status."""
        if self._started:
            return b""
        self._started = True
        conversation = self._head.conversation_id
        conversation_field = {} if conversation is None else {"conversation_id": str(conversation)}
        return _event("start", id=self._head.id, model=self._head.request.model, held=self._held, **conversation_field)

    def delta(self, delta: Delta) -> bytes:
        events = [event for choice in delta.chunk["choices"] for event in _of_delta(choice.get("delta") or {})]
        return b"".join([self._start(), *events])

    def held(self, credits: int) -> bytes:
        self._held = credits
        return _event("hold", held=credits) if self._started else b""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        reasons = [choice.get("finish_reason") for delta in last for choice in delta.chunk["choices"]]
        return self._start() + _event(
            "done", **self._money(bill), held=bill.held, finish_reason=next(iter(reasons), None) or "stop"
        )

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        detail = errors.of(error)
        fields = {"message": detail.message, "param": detail.param, "code": detail.code, **detail.more}
        fields = {name: value for name, value in fields.items() if value is not None}
        return self._start() + _event("error", **fields, **({} if bill is None else self._money(bill)))

    def _money(self, bill: Bill) -> dict[str, Any]:
        return {
            "usage": answers.usage_object(bill.usage),
            "credits_charged": bill.charged,
            "balance": bill.balance,
            **({"conversation_id": str(self._head.conversation_id)} if bill.saved else {}),
        }


class VisitorStream(NativeStream):
    """The stream of a visitor, who pays nothing and has no balance. Its end tells what is left of the day."""

    def __init__(self, head: Head, allowance: Callable[[], Allowance]) -> None:
        super().__init__(replace(head, held=0))
        self._allowance = allowance

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        return super().end(last, replace(bill, held=0))

    def _money(self, bill: Bill) -> dict[str, Any]:
        own = self._allowance()
        anonymous = {"limit": own.limit, "used": own.used, "remaining": own.remaining, "resets_at": own.resets_at}
        return {**super()._money(replace(bill, charged=0, balance=0)), "anonymous": anonymous}


def _of_delta(delta: Mapping[str, Any]) -> Iterator[bytes]:
    reasoning = next((delta[name] for name in _REASONING if isinstance(delta.get(name), str) and delta[name]), None)
    if reasoning:
        yield _event("reasoning", text=reasoning)
    for name in ("content", "refusal"):
        if isinstance(text := delta.get(name), str) and text:
            yield _event("delta", text=text)
    for call in delta.get("tool_calls") or ():
        yield _event("tool_call", **_tool_call(call))


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Write a function's arguments or a custom tool's input: both are text in parts."""
    of = call.get("function") or call.get("custom") or {}
    fields = {"id": call.get("id"), "name": of.get("name"), "arguments": of.get("arguments") or of.get("input")}
    return {"index": call["index"], **{name: value for name, value in fields.items() if value}}


def _event(type_: str, /, **fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"type": type_, **fields}, option=orjson.OPT_UTC_Z) + b"\n\n"

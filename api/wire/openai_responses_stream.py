"""Writes answers in the form of OpenAI's Responses: whole ones, and the events of a stream."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from api import errors
from api.wire import openai_responses_object
from api.wire.openai_responses_items import COMPLETED, INCOMPLETE, Event
from api.wire.openai_responses_output import Output
from domain import json_text
from domain.errors import GatewayError
from domain.request_fields import ABOUT_THE_CALLER
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall
from providers.base import Delta

_FAILURES = {"rate_limit_exceeded": "rate_limit_exceeded", "invalid_value": "invalid_prompt"}
"""Our codes that a failed response has a code of its own for. Any other is a `server_error`."""
_RAW = "\0"
"""Where an event has the bytes that it came as."""
_ENDS = {"completed": "response.completed", "incomplete": "response.incomplete", "failed": "response.failed"}


def _request(call: ModelCall | None) -> Mapping[str, Any]:
    """The fields of a request that its answer repeats."""
    if call is None or call.native is None:
        return {}
    own = {name: call.body[name] for name in ABOUT_THE_CALLER & call.body.keys()}
    return {**call.native.body, **own, "max_output_tokens": call.output_limit}


def whole(answer: CompletedAnswer, bill: Bill) -> bytes:
    body, request = answer.body, _request(answer.request)
    response_id, seed = openai_responses_object.id_of(body["id"])
    response = openai_responses_object.begun(request, response_id, body["created"], body["model"])
    if isinstance(tier := body.get("service_tier"), str):
        response["service_tier"] = tier
    if answer.native is not None:
        return json_text.dumps(
            {**openai_responses_object.passed_on(response, answer.native), **openai_responses_object.billed(bill)}
        )
    choice = body["choices"][0]
    output = Output(request, seed)
    status = openai_responses_object.FINISHES.get(choice.get("finish_reason"), (COMPLETED, None))[0]
    events = [*output.delta({**choice, "delta": choice.get("message") or {}}), *output.end(status)]
    assert events or not output.items  # noqa: S101  # each item has events
    return json_text.dumps(openai_responses_object.ended(response, choice.get("finish_reason"), output.items, bill))


class ResponseStream:
    """Implements `gateway.wire.StreamWriter`."""

    KEEP_ALIVE: ClassVar = b": keep-alive\n\n"

    def __init__(self, head: Head) -> None:
        request = _request(head.request)
        response_id, seed = openai_responses_object.id_of(head.id)
        self._response = openai_responses_object.begun(request, response_id, head.created, head.request.model)
        self._output = Output(request, seed)
        self._sequence = 0
        self._begun = False
        self._native: dict[int, dict[str, Any]] | None = None
        """The items that a provider of this wire has completed, by their places. None: it has another wire."""
        self._last: dict[str, Any] | None = None
        """Such a provider's own end."""

    def delta(self, delta: Delta) -> bytes:
        return self._written(self._events(delta))

    def held(self, credits: int) -> bytes:
        return b""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        events = [event for delta in last for event in self._events(delta)]
        if self._last is not None:
            response = {**self._last, **openai_responses_object.billed(bill)}
            return self._written([*events, {"type": _ENDS[response["status"]], "response": response}])
        events = [*self._begin(), *events]
        reasons = [choice.get("finish_reason") for delta in last for choice in delta.chunk["choices"]]
        finish = next(filter(None, reasons), None)
        status = openai_responses_object.FINISHES.get(finish, (COMPLETED, None))[0]
        events += self._output.end(status)
        response = openai_responses_object.ended(self._response, finish, self._items(), bill)
        return self._written([*events, {"type": _ENDS[status], "response": response}])

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        """Write the error, then the response that failed, with what it has of its output."""
        detail = errors.of(error)
        inner = errors.envelope(detail)["error"]
        flat = {"code": detail.code, "message": detail.message, "param": detail.param}
        events: list[Event] = [*self._begin(), *self._output.end(INCOMPLETE)]
        code = _FAILURES.get(detail.code or "", "server_error")
        response = {
            **self._response,
            "status": "failed",
            "error": {"code": code, "message": detail.message},
            "output": self._items(),
            **({} if bill is None else openai_responses_object.billed(bill)),
        }
        events += [{"type": "error", **flat, "error": inner}, {"type": "response.failed", "response": response}]
        return self._written(events)

    def _events(self, delta: Delta) -> Iterator[Event]:
        if delta.native is not None:
            yield from self._native_event(orjson.loads(delta.native), delta.native)
            return
        if self._native is not None:  # it has no event of its own there
            return
        yield from self._begin()
        if isinstance(tier := delta.chunk.get("service_tier"), str):
            self._response["service_tier"] = tier
        for choice in delta.chunk["choices"]:
            yield from self._output.delta(choice)

    def _native_event(self, event: Event, raw: bytes) -> Iterator[Event]:
        """Pass on a provider's own event, as its bytes where they can be. Its response says what ours says."""
        if self._native is None:
            self._native = {}
        if not isinstance(response := event.get("response"), dict):
            if event["type"] == "response.output_item.done":
                self._native[event["output_index"]] = event["item"]
            yield event if b"\n" in raw else {**event, _RAW: raw}
            return
        self._begun = True
        own = openai_responses_object.passed_on(self._response, response)
        if event["type"] in _ENDS.values():
            self._last = {**own, "status": event["type"].removeprefix("response.")}
        else:
            self._response = {**own, "output": []}
            yield {**event, "response": own}

    def _items(self) -> list[dict[str, Any]]:
        """The items of the output so far."""
        native = self._native
        return self._output.items if native is None else [native[place] for place in sorted(native)]

    def _begin(self) -> Iterator[Event]:
        """Begin before the first output, not earlier: until then a failure is answered with its status."""
        if not self._begun:
            self._begun = True
            yield {"type": "response.created", "response": self._response}
            yield {"type": "response.in_progress", "response": self._response}

    def _written(self, events: Iterable[Event]) -> bytes:
        """Number the events and write them, each at once: an item goes on to grow."""
        return b"".join([self._frame(event) for event in events])

    def _frame(self, event: Event) -> bytes:
        kind: str = event["type"]
        raw: bytes | None = event.pop(_RAW, None)
        same = raw is not None and event.get("sequence_number") == self._sequence
        data = raw if raw is not None and same else json_text.dumps({**event, "sequence_number": self._sequence})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

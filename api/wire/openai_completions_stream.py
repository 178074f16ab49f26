"""Writes answers in the form of OpenAI's text completions: whole ones, and the chunks of a stream."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from api import errors
from api.wire.openai_chat_stream import DONE, yout
from domain.errors import GatewayError
from domain.ids import CHAT_PREFIX
from gateway import answers
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall
from providers.base import Delta

PREFIX = "cmpl-"
_OF_A_CHAT = ("tool_calls", "function_call")
"""Finish reasons that a completion does not have."""


def whole(answer: CompletedAnswer, bill: Bill) -> bytes:
    body, offsets = answer.body, _Offsets(answer.request)
    choices = [_choice(choice, choice["message"], offsets) for choice in body["choices"]]
    beside = {name: body[name] for name in ("system_fingerprint",) if body.get(name) is not None}
    frame = _frame(body["id"], body["created"], body["model"])
    return orjson.dumps({**frame, "choices": choices, **beside, "usage": body["usage"], "yout": yout(bill)})


class CompletionStream:
    """Implements `gateway.wire.StreamWriter`."""

    KEEP_ALIVE: ClassVar = b": keep-alive\n\n"

    def __init__(self, head: Head) -> None:
        options = head.request.body.get("stream_options") or {}
        self._with_usage = options.get("include_usage") is True
        self._frame = _frame(head.id, head.created, head.request.model)
        self._offsets = _Offsets(head.request)

    def delta(self, delta: Delta) -> bytes:
        choices = self._choices(delta)
        if all(not each["text"] and each["finish_reason"] is None and not each["logprobs"] for each in choices):
            return b""  # a role alone
        return self._event(choices)

    def held(self, credits: int) -> bytes:
        return b""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        """Write the end. The last chunk has the cost of the call, and the usage if it was requested."""
        money = {"yout": yout(bill)}
        parts = [self._event(self._choices(delta)) for delta in last[:-1]]
        if self._with_usage:
            parts += [self._event(self._choices(delta)) for delta in last[-1:]]
            parts.append(self._event([], {"usage": answers.usage_object(bill.usage)} | money))
        else:
            parts += [self._event(self._choices(delta), money) for delta in last[-1:]]
        return b"".join([*parts, DONE])

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        """Write one chunk with the error, the billed usage and the cost, without `[DONE]`."""
        choices = [{"text": "", "index": 0, "logprobs": None, "finish_reason": "error"}]
        money = {} if bill is None else {"usage": answers.usage_object(bill.usage), "yout": yout(bill)}
        return self._event(choices, errors.envelope(errors.of(error)) | money)

    def _choices(self, delta: Delta) -> list[dict[str, Any]]:
        return [_choice(each, each.get("delta") or {}, self._offsets) for each in delta.chunk["choices"]]

    def _event(self, choices: list[dict[str, Any]], beside: Mapping[str, Any] | None = None) -> bytes:
        null = {"usage": None} if self._with_usage and not beside else {}
        return b"data: " + orjson.dumps({**self._frame, "choices": choices, **null, **(beside or {})}) + b"\n\n"


def _frame(id: str, created: int, model: str) -> dict[str, Any]:
    public = PREFIX + id.removeprefix(CHAT_PREFIX)
    return {"id": public, "object": "text_completion", "created": created, "model": model}


class _Offsets:
    """Where the next token of each choice begins, in characters from the beginning of its prompt."""

    def __init__(self, request: ModelCall | None) -> None:
        prompts = request.completion.inputs if request is not None and request.completion is not None else ("",)
        self._begin = len(prompts[0]) if isinstance(prompts[0], str) else 0
        self._next: dict[int, int] = {}

    def of(self, index: int, tokens: Sequence[str]) -> list[int]:
        at, offsets = self._next.get(index, self._begin), []
        for token in tokens:
            offsets.append(at)
            at += len(token)
        self._next[index] = at
        return offsets


def _choice(choice: Mapping[str, Any], message: Mapping[str, Any], offsets: _Offsets) -> dict[str, Any]:
    content = message.get("content") or message.get("refusal")
    reason = choice.get("finish_reason")
    return {
        "text": content if isinstance(content, str) else "",
        "index": choice["index"],
        "logprobs": _logprobs(choice, offsets),
        "finish_reason": "stop" if reason in _OF_A_CHAT else reason,
    }


def _logprobs(choice: Mapping[str, Any], offsets: _Offsets) -> dict[str, Any] | None:
    """Return log probabilities in the form of this endpoint. A provider that has the endpoint gives them in it."""
    given = choice.get("logprobs")
    if not isinstance(given, dict) or "tokens" in given:
        return given if isinstance(given, dict) else None
    listed = [each for each in given.get("content") or () if isinstance(each, dict)]
    if not listed:
        return None
    tokens = [str(each.get("token") or "") for each in listed]
    top = [_top(each) for each in listed]
    return {
        "tokens": tokens,
        "token_logprobs": [each.get("logprob") for each in listed],
        "top_logprobs": top if any(top) else None,
        "text_offset": offsets.of(choice["index"], tokens),
    }


def _top(token: Mapping[str, Any]) -> dict[str, Any]:
    top = [each for each in token.get("top_logprobs") or () if isinstance(each, dict)]
    return {str(each.get("token")): each.get("logprob") for each in top}

"""Demo chat: answers in OpenAI's exact shapes, made in this process."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from domain.errors import RequestInvalid, UpstreamError, UpstreamRefused
from providers.base import ChatCall
from providers.demo import logprobs, obedience, pace, replies, sample, tokens, tools, validation
from providers.demo.tools import ToolCall

MODELS = frozenset({"chat", "chat-fail", "chat-broken", "chat-slow"})
SLOW = 10.0
BREAKS_AFTER = 5
"""Deltas that `chat-broken` streams before it breaks off."""
MAX_CHOICES = 16

Delta = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of an answer, whole and in the deltas that a stream sends."""

    text: str = field(repr=False)
    calls: tuple[ToolCall, ...]
    finish_reason: str
    tokens: int

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": None, "annotations": []}
        if self.calls and self.calls[0].legacy:
            return message | {"content": None, "function_call": _function(self.calls[0])}
        if self.calls:
            return message | {"content": None, "tool_calls": [call.shape() for call in self.calls]}
        return message

    def deltas(self) -> list[Delta]:
        spoken: list[Delta] = [{"content": word} for word in tokens.words(tokens.split(self.text))]
        return spoken + [delta for index, call in enumerate(self.calls) for delta in _call_deltas(index, call)]


class DemoChat:
    """The demo model. It gives OpenAI's objects at typing speed.

    `providers.demo.upstream` turns the errors that it raises into a status, or into the end of the stream.
    """

    def __init__(self, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep = sleep

    async def complete(self, call: ChatCall) -> dict[str, Any]:
        choices = _choices(call)
        if call.model == "chat-broken":
            raise UpstreamError
        if call.model == "chat-slow":
            await self._sleep(_duration(call))
        listed = [
            {
                "index": index,
                "message": choice.message(),
                "logprobs": _logprobs(call.body, choice.text),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(choices)
        ]
        return _envelope(call, "chat.completion") | {"choices": listed, "usage": _usage(call, choices)}

    async def stream(self, call: ChatCall) -> AsyncGenerator[dict[str, Any], None]:
        choices = _choices(call)
        metered = bool((call.body.get("stream_options") or {}).get("include_usage"))
        envelope = _envelope(call, "chat.completion.chunk") | ({"usage": None} if metered else {})

        def chunk(index: int, delta: Delta, finish_reason: str | None = None) -> dict[str, Any]:
            logprobs = _logprobs(call.body, delta.get("content"))
            choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
            return envelope | {"choices": [choice]}

        for index, choice in enumerate(choices):
            yield chunk(index, {"role": "assistant", "content": None if choice.calls else "", "refusal": None})
        pieces = _interleaved(choices)
        for sent, (index, delta) in enumerate(pieces):
            if call.model == "chat-broken" and sent == BREAKS_AFTER:
                raise UpstreamError
            await self._sleep(_duration(call) / len(pieces) if call.model == "chat-slow" else _typing(delta))
            yield chunk(index, delta)
        if call.model == "chat-broken":
            raise UpstreamError
        for index, choice in enumerate(choices):
            yield chunk(index, {}, choice.finish_reason)
        if metered:
            yield envelope | {"choices": [], "usage": _usage(call, choices)}


def _choices(call: ChatCall) -> list[Choice]:
    """Make all choices. Raises for the model that always fails."""
    if call.model not in MODELS:
        raise UpstreamRefused("The provider does not know this model.")
    if call.model == "chat-fail":
        raise UpstreamError
    validation.check(call.body)
    count = call.body.get("n")
    count = 1 if count is None else count
    if not isinstance(count, int) or not 1 <= count <= MAX_CHOICES:
        raise RequestInvalid(f"'n' must be between 1 and {MAX_CHOICES}.", param="n")
    return [_choice(call, variant) for variant in range(count)]


def _choice(call: ChatCall, variant: int) -> Choice:
    sentence = pace.without_directive(_last_text(call.body, "user"))
    result = _tool_result(call.body)
    called = tools.calls(call.body, sentence, fresh=result is None)
    if called:
        return _cut_calls(called, call.output_limit)
    answer = _words(call.body, sentence, variant) if result is None else replies.after_tool(result)
    pieces = tokens.split(_stopped(_formatted(answer, sentence, call.body), call.body.get("stop")))
    within = pieces[: call.output_limit]
    return Choice("".join(within), (), "stop" if len(within) == len(pieces) else "length", len(within))


def _words(body: dict[str, Any], sentence: str, variant: int) -> str:
    """Return the words that the prompt prescribes, what the user wrote earlier, or an answer by the rules."""
    dictated = next(
        (
            words
            for text in (sentence, *reversed(_texts(body, "system", "developer")))
            if (words := obedience.words_to_say(text))
        ),
        None,
    )
    earlier = _texts(body, "user")[:-1]
    return dictated or obedience.recalled(sentence, earlier) or replies.answer(sentence, variant)


def _logprobs(body: dict[str, Any], text: str | None) -> dict[str, Any] | None:
    return logprobs.of(text, body.get("top_logprobs") or 0) if text and body.get("logprobs") is True else None


def _function(call: ToolCall) -> dict[str, str]:
    return {"name": call.name, "arguments": call.given}


def _formatted(answer: str, sentence: str, body: dict[str, Any]) -> str:
    """Return the answer as JSON if the request asks for JSON."""
    match body.get("response_format"):
        case {"type": "json_object"}:
            return json.dumps({"answer": answer}, ensure_ascii=False)
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema}}:
            return json.dumps(sample.of(schema, sentence, answer, param="response_format"), ensure_ascii=False)
        case _:
            return answer


def _stopped(text: str, stop: object) -> str:
    """Return the text up to the first stop sequence in it."""
    sequences = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    positions = [at for each in sequences if isinstance(each, str) and each and (at := text.find(each)) >= 0]
    return text[: min(positions)] if positions else text


def _cut_calls(called: list[ToolCall], limit: int) -> Choice:
    within: list[ToolCall] = []
    spent = 0
    for call in called:
        name, given = len(tokens.split(call.name)), tokens.split(call.given)
        headroom = limit - spent - name
        if headroom <= 0:
            break
        within.append(replace(call, given="".join(given[:headroom])))
        spent += name + min(len(given), headroom)
    whole = [call.given for call in within] == [call.given for call in called]
    finished = "function_call" if called[0].legacy else "tool_calls"
    return Choice("", tuple(within), finished if whole else "length", spent)


def _call_deltas(index: int, call: ToolCall) -> list[Delta]:
    """Make the deltas of a tool call: the first has its name, the others have its arguments in parts."""
    if call.legacy:
        words = tokens.words(tokens.split(call.given))
        return [{"function_call": {"name": call.name, "arguments": ""}}] + [
            {"function_call": {"arguments": word}} for word in words
        ]
    kind, field = ("custom", "input") if call.custom else ("function", "arguments")
    begun = {"index": index, "id": call.id, "type": kind, kind: {"name": call.name, field: ""}}
    parts = [{"index": index, kind: {field: word}} for word in tokens.words(tokens.split(call.given))]
    return [{"tool_calls": [part]} for part in (begun, *parts)]


def _interleaved(choices: list[Choice]) -> list[tuple[int, Delta]]:
    """Return the deltas of all choices in turn, one of each."""
    queues = [choice.deltas() for choice in choices]
    longest = max(len(queue) for queue in queues)
    return [(index, queue[at]) for at in range(longest) for index, queue in enumerate(queues) if at < len(queue)]


def _envelope(call: ChatCall, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": call.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _usage(call: ChatCall, choices: list[Choice]) -> dict[str, Any]:
    prompt, completion = tokens.of_request(call.body), sum(choice.tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _last_text(body: dict[str, Any], *roles: str) -> str:
    return next(iter(reversed(_texts(body, *roles))), "")


def _texts(body: dict[str, Any], *roles: str) -> list[str]:
    messages = body.get("messages") or []
    return [
        _text(message.get("content"))
        for message in messages
        if isinstance(message, dict) and message.get("role") in roles
    ]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def _tool_result(body: dict[str, Any]) -> str | None:
    """Return the result of a tool, if that is the last message."""
    messages = body.get("messages") or []
    last = messages[-1] if messages else None
    answered = isinstance(last, dict) and last.get("role") in ("tool", "function")
    return _last_text(body, "tool", "function") if answered else None


def _duration(call: ChatCall) -> float:
    return pace.seconds(_last_text(call.body, "user"), SLOW)


def _typing(delta: Delta) -> float:
    """Return the seconds before the next word: 5 to 20 ms."""
    return 0.005 + 0.001 * (len(str(delta)) % 16)

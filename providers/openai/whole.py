"""Reads and completes an answer that was not streamed."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.errors import UpstreamError
from providers.base import ChatCall, Delta, ProviderEvent, Report, WholeAnswer
from providers.openai import errors, shapes, text, usage
from providers.openai.calls import ToolCalls


def answer(call: ChatCall, body: Any) -> WholeAnswer:
    """Complete the answer in a parsed body. Raises `UpstreamError` if it is not one, or the failure that it reports."""
    if not isinstance(body, dict):
        raise UpstreamError
    if errors.reports_failure(body):
        raise errors.within(body, call.body)
    choices = shapes.choices_of(body)
    if not choices:
        raise UpstreamError
    indexes = [shapes.index_of(choice, position) for position, choice in enumerate(choices)]
    if len(set(indexes)) < len(indexes):  # some repeat an index: take the order
        indexes = list(range(len(indexes)))
    seed = f"{body.get('id')}:{len(call.body.get('messages') or ())}"
    completed = [
        _choice(choice, index, seed) for index, choice in sorted(zip(indexes, choices, strict=True), key=_first)
    ]
    complete = {"object": "chat.completion", "choices": completed, **shapes.beside(body)}
    words = "".join([text.of_delta(choice["message"]) for choice in completed])
    return WholeAnswer(complete, words, usage.of_report(usage.report_in(body), body.get("service_tier")))


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _choice(choice: Mapping[str, Any], index: int, seed: str) -> dict[str, Any]:
    finish = shapes.finish_of(choice)
    message = choice.get("message")
    if "message" not in choice and finish == "content_filter":  # the provider's filter removed all
        message = {}
    if not isinstance(message, dict):
        raise UpstreamError
    calls = ToolCalls(f"{seed}:{index}")
    message = {"role": "assistant", "content": None} | shapes.content(message, calls) | {"role": "assistant"}
    if "tool_calls" in message:
        message["tool_calls"] = [_without_index(each) for each in message["tool_calls"]]
    reason = finish or ("tool_calls" if len(calls) else "stop")
    return {"index": index, "message": message, "finish_reason": reason, "logprobs": None, **shapes.of_choice(choice)}


def _without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "index"}


def events(complete: WholeAnswer) -> Iterator[ProviderEvent]:
    """Turn a whole answer into events, for a provider that was asked for a stream. Without `Accepted` and `Done`."""
    tops = {name: value for name, value in complete.body.items() if name not in ("object", "choices")}
    for choice in complete.body["choices"]:
        message = dict(choice["message"])
        if "tool_calls" in message:
            message["tool_calls"] = [{"index": n, **call} for n, call in enumerate(message["tool_calls"])]
        rest = {name: value for name, value in choice.items() if name not in ("index", "message", "finish_reason")}
        part = {"index": choice["index"], "delta": message, "finish_reason": None, **rest}
        yield Delta({"choices": [part], **tops}, text.of_delta(message))
    for choice in complete.body["choices"]:
        end = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        yield Delta({"choices": [end]}, "", (choice["index"],))
    if complete.usage is not None:
        yield Report(complete.usage)

"""Answers that a provider should never give, and some have given: by the name of the model."""

from typing import Any

_MESSAGE: dict[str, Any] = {"role": "assistant", "content": "x"}
_CALL = {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def _deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


WHOLE: dict[str, Any] = {
    "no-choices": {"choices": []},
    "choices-text": {"choices": "x"},
    "choice-text": {"choices": ["x"]},
    "odd-tools": {"choices": [{"index": 0, "message": _MESSAGE | {"tool_calls": 5}, "finish_reason": "stop"}]},
    "far-tools": {"choices": [{"index": 0, "message": _MESSAGE | {"tool_calls": [{"index": 10**9}]}}]},
    "deep": {"choices": [{"index": 0, "message": _MESSAGE | {"extra": _deep(400)}, "finish_reason": "stop"}]},
    "whole-error": {
        "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}],
        "error": {"message": "SECRET at 10.0.0.7"},
    },
    "choice-error": {
        "choices": [{"index": 0, "message": _MESSAGE, "error": {"message": "SECRET"}, "finish_reason": "error"}]
    },
}
CHATTY: dict[str, Any] = {"account": "org-SECRET", "provider": "SECRET", "yout": {"credits_charged": 0}, "error": None}
"""What some providers tell beside their answers, about themselves."""
STREAMED: dict[str, list[dict[str, Any]]] = {
    "only-done": [],
    "stream-odd-tools": [{"choices": [{"index": 0, "delta": {"tool_calls": 5}, "finish_reason": None}]}],
    "stream-far-tools": [{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 10**9}]}}]}],
    "role-then-error": [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
        {"error": {"message": "SECRET"}},
    ],
    "stream-odd-index": [{"choices": [{"index": [0], "delta": {"content": "x"}, "finish_reason": "stop"}]}],
    "stream-deep": [{"choices": [{"index": 0, "delta": {"content": "x", "extra": _deep(400)}, "finish_reason": None}]}],
    "stream-choice-error": [{"choices": [{"index": 0, "delta": {}, "error": {"message": "SECRET"}}]}],
}
COMPLETED: dict[str, list[dict[str, Any]]] = {
    "stream-no-index": [{"choices": [{"index": None, "delta": {"content": "x"}, "finish_reason": "stop"}]}],
    "text-after-finish": [
        {"choices": [{"index": 0, "delta": {"content": "a "}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "delta": {"content": "b "}, "finish_reason": None}]},
    ],
    "second-tool-alone": [
        {"choices": [{"index": 0, "delta": {"tool_calls": [_CALL]}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ],
    "above-the-limit": [
        {"choices": [{"index": 0, "delta": {"content": "few words"}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 15, "completion_tokens": 20_000, "total_tokens": 20_015}},
    ],
}
"""What is odd and can be read all the same."""
TELLING = {"telling": "sk-live-SECRET at 10.0.0.7", "telling-within": "messages[0].SECRET"}
"""What a provider calls the parameter that it does not accept."""

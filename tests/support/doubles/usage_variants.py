"""Whole answers and streams that say more than text, or tell their usage in odd ways: by the name of the model."""

from typing import Any

_LOGPROBS: dict[str, Any] = {
    "content": [{"token": "x", "logprob": -0.25, "bytes": [120], "top_logprobs": []}],
    "refusal": None,
}


def _usage(input_tokens: float, output_tokens: float) -> dict[str, Any]:
    total = input_tokens + output_tokens
    return {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total}


def _chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish} | more
    return {"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def _streamed(*usages: dict[str, Any]) -> list[dict[str, Any]]:
    """Five tokens, and what is said of them."""
    chunks = [_chunk({"role": "assistant", "content": "The answer is four."}), _chunk({}, "stop")]
    return chunks + [_chunk({}) | {"choices": [], "usage": usage} for usage in usages]


def _call(index: int, **function: str) -> dict[str, Any]:
    named = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
    return {"tool_calls": [{"index": index, "function": function} | named]}


def _whole(index: int, finish: str, **message: Any) -> dict[str, Any]:
    body = {"role": "assistant", "content": None} | message
    logprobs = _LOGPROBS | {"content": 2 * _LOGPROBS["content"]} if body["content"] else None
    return {"index": index, "finish_reason": finish, "message": body, "logprobs": logprobs}


USAGES: dict[str, tuple[list[dict[str, Any]], int]] = {
    "tells-twice": (_streamed(_usage(1000, 200), _usage(1000, 200)), 600),
    "tells-less": (_streamed(_usage(1000, 200), _usage(1000, 100)), 600),
    "tells-more": (_streamed(_usage(1000, 100), _usage(1000, 200)), 600),
    "tells-too-little": (_streamed(_usage(1000, 1)), 302),
    "tells-fractions": (_streamed(_usage(1000, 200.5)), 12),
    "tells-as-it-goes": ([chunk | {"usage": _usage(1000, n)} for n, chunk in enumerate(_streamed())], 302),
}
"""A stream, and what it must cost: the largest report is what counts, below what was relayed too. A fraction is none:
then 14 tokens of prompt and 5 of answer are, which is 11.7."""
STREAMED: dict[str, list[dict[str, Any]]] = {name: script for name, (script, _) in USAGES.items()} | {
    "ends-one-of-two": [
        {
            "choices": [
                {"index": n, "delta": {"content": "x"}, "finish_reason": None if n else "stop"} for n in range(2)
            ]
        },
    ],
    "calls-tools": [
        _chunk({"role": "assistant", "content": None}),
        _chunk(_call(0, name="find", arguments="")),
        _chunk(_call(0, arguments='{"q":')),
        _chunk(_call(1, name="look", arguments='{"at"')),
        _chunk(_call(0, arguments=' "a"}')),
        _chunk(_call(1, arguments=": 2}")),
        _chunk({}, "tool_calls"),
        *_streamed(_usage(1000, 200))[2:],
    ],
    "says-two": [
        _chunk({"role": "assistant", "content": "one "}, index=0, logprobs=_LOGPROBS),
        _chunk({"role": "assistant", "content": "eins "}, index=1, logprobs=_LOGPROBS),
        _chunk({"content": "more"}, index=0, logprobs=_LOGPROBS),
        _chunk({"content": "mehr"}, index=1, logprobs=_LOGPROBS),
        _chunk({}, "stop", index=1),
        _chunk({}, "stop", index=0),
        *_streamed(_usage(1000, 200))[2:],
    ],
}
WHOLE: dict[str, dict[str, Any]] = {
    "calls-tools": {
        "choices": [
            _whole(
                0,
                "tool_calls",
                tool_calls=[
                    {"id": "call_0", "type": "function", "function": {"name": "find", "arguments": '{"q": "a"}'}},
                    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 2}'}},
                ],
            )
        ]
    },
    "says-two": {"choices": [_whole(0, "stop", content="one more"), _whole(1, "stop", content="eins mehr")]},
}

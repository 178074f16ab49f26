"""An answer on each vendor's wire that is a text alone: whole, and as the events of a stream."""

import base64
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
VECTOR = base64.b64encode(struct.pack("<2f", 0.5, 0.25)).decode()


@dataclass(frozen=True, slots=True)
class Wire:
    whole: Callable[[str], Any]
    begun: Callable[[str], list[Any]] = lambda _: []
    """The first events, which have the text."""
    ended: Callable[[], list[Any]] = list
    """The other ones."""
    done: str = ""


def _chat(text: str) -> Any:
    call = {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": text}}
    message = {"role": "assistant", "content": text, "tool_calls": [call]}
    return _whole("chat.completion", finish_reason="stop", message=message)


def _whole(kind: str, **choice: Any) -> Any:
    return {"id": "echo", "object": kind, "choices": [{"index": 0, **choice}], "usage": USAGE}


def _chunk(delta: Any, finish: str | None = None) -> Any:
    return _whole("chat.completion.chunk", delta=delta, finish_reason=finish)


def _text(text: str, finish: str | None = None) -> Any:
    return _whole("text_completion", text=text, finish_reason=finish, logprobs=None)


_CLAUDES_USAGE = {"input_tokens": 100, "output_tokens": 20}


def _message(blocks: list[Any], reason: str | None = None) -> Any:
    ids = {"id": "msg_echo", "type": "message", "role": "assistant", "model": "echo"}
    return {**ids, "content": blocks, "stop_reason": reason, "stop_sequence": None, "usage": _CLAUDES_USAGE}


def _blocks(text: str) -> list[Any]:
    thought = {"type": "thinking", "thinking": text, "signature": base64.b64encode(text.encode()).decode()}
    call = {"type": "tool_use", "id": "toolu_2", "name": "find", "input": {"q": text}}
    return [thought, {"type": "text", "text": text}, call]


def _message_begun(text: str) -> list[Any]:
    return [
        {"type": "message_start", "message": _message([])},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
    ]


def _message_ended() -> list[Any]:
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": _CLAUDES_USAGE},
        {"type": "message_stop"},
    ]


def _gemini(text: str, **candidate: Any) -> Any:
    parts = [{"text": text, "thought": True}, {"text": text}, {"functionCall": {"name": "find", "args": {"q": text}}}]
    counts = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    content = {"role": "model", "parts": parts}
    return {"candidates": [{"index": 0, "content": content, **candidate}], "usageMetadata": counts}


def _gemini_ended() -> list[Any]:
    return [_gemini("and", finishReason="STOP")]


def _vectors(text: str) -> Any:
    data = [{"object": "embedding", "index": 0, "embedding": VECTOR}]
    return {"object": "list", "data": data, "model": text, "usage": {"prompt_tokens": 5, "total_tokens": 5}}


_DONE = "data: [DONE]\n\n"
CHAT = Wire(
    _chat,
    lambda text: [_chunk({"role": "assistant", "content": text})],
    lambda: [_chunk({"content": "and"}), _chunk({}, "stop")],
    _DONE,
)
WIRES: Mapping[str, Wire] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": Wire(
        lambda text: _text(text, "stop"), lambda text: [_text(text)], lambda: [_text("", "stop")], _DONE
    ),
    "/v1/messages": Wire(lambda text: _message(_blocks(text), "tool_use"), _message_begun, _message_ended),
    "/v1/models/{model}:{method}": Wire(
        lambda text: _gemini(text, finishReason="STOP"), lambda text: [_gemini(text)], _gemini_ended
    ),
    "/v1/embeddings": Wire(_vectors),
}
"""By the path at which a provider has it."""


def event(value: Any) -> str:
    kind = f"event: {value['type']}\n" if isinstance(value.get("type"), str) else ""
    return f"{kind}data: {json.dumps(value)}\n\n"

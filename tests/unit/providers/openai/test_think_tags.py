"""Thoughts in tags, cut anywhere: moved to a field of their own, and nothing is lost."""

import json
from typing import Any

import pytest

from domain.catalog import Capability, Provider
from providers.base import ChatCall, Delta
from providers.openai.adapter import OpenAIAdapter

ADAPTER = OpenAIAdapter(Provider(name="p", kind="openai", active=True, base_url="https://up.invalid/v1"))
TAGS = frozenset({str(Capability.THINK_TAGS)})
TEXTS = {
    "<think>\nhm\n\nso\n</think>\n\nFour.": ("hm\n\nso", "Four."),
    "\n<think></think>Four.": ("", "Four."),
    "Four, without <think>tags</think>.": ("", "Four, without <think>tags</think>."),
    "<thin": ("", "<thin"),
    "  Four.": ("", "  Four."),
    "<think>never ends </thi": ("never ends </thi", ""),
    "<think>a</think>b</think>c": ("a", "b</think>c"),
    "<think>only\n</think>\n": ("only", ""),
}


def call(*, stream: bool) -> ChatCall:
    return ChatCall("m", {"messages": []}, 9, capabilities=TAGS, stream=stream)


def chunk(delta: Any, finish: str | None = None) -> bytes:
    value = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return f"data: {json.dumps(value)}\n\n".encode()


def streamed(pieces: list[str]) -> tuple[str, str, str, list[str]]:
    decoder = ADAPTER.decoder(call(stream=True))
    raw = [
        chunk({"role": "assistant"}),
        *(chunk({"content": piece}) for piece in pieces),
        chunk({}, "stop"),
        b"data: [DONE]\n\n",
    ]
    deltas = [event for data in raw for event in decoder.feed(data) if isinstance(event, Delta)]
    parts = [choice for delta in deltas for choice in delta.chunk["choices"]]
    thoughts, content = (
        "".join(part["delta"].get(name) or "" for part in parts) for name in ("reasoning_content", "content")
    )
    return (
        thoughts,
        content,
        "".join(delta.text for delta in deltas),
        [part["finish_reason"] for part in parts if part["finish_reason"]],
    )


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_stream(text: str, size: int) -> None:
    thoughts, content, counted, finishes = streamed([text[at : at + size] for at in range(0, len(text), size)])
    assert (thoughts.strip("\n"), content) == TEXTS[text]
    assert (sorted(counted), finishes) == (sorted(thoughts + content), ["stop"])


@pytest.mark.parametrize("text", TEXTS)
def test_a_whole_answer(text: str) -> None:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    answer = ADAPTER.answer(call(stream=False), json.dumps(body).encode())
    message = answer.body["choices"][0]["message"]
    assert ((message.get("reasoning_content") or "").strip("\n"), message["content"]) == TEXTS[text]
    assert answer.text == text


def test_the_rest_of_a_delta_stays() -> None:
    decoder = ADAPTER.decoder(call(stream=True))
    events = [*decoder.feed(chunk({"role": "assistant", "content": "<think>a</think>b", "extra": 1}))]
    deltas = [event.chunk["choices"][0]["delta"] for event in events if isinstance(event, Delta)]
    assert deltas == [{"role": "assistant", "reasoning_content": "a", "content": "b", "extra": 1}]

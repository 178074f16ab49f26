"""Small streams in OpenAI's words, and what an adapter makes of them."""

import json
from collections.abc import Iterable
from typing import Any

from domain.catalog import Provider
from domain.errors import GatewayError
from providers.base import ChatAdapter, ChatCall, Delta, Done, ProviderEvent, Report
from providers.openai.adapter import OpenAIAdapter

SSE = {"content-type": "text/event-stream"}
USAGE = {"prompt_tokens": 15, "completion_tokens": 4, "total_tokens": 19}
ADAPTER = OpenAIAdapter(Provider(name="p", kind="openai", active=True, base_url="http://upstream.invalid/v1"))


def call(choices: int = 1, **body: Any) -> ChatCall:
    messages = [{"role": "user", "content": "Hello"}]
    return ChatCall("m", {"messages": messages} | body, 100, stream=True, choices=choices)


def chunk(delta: Any, finish: str | None = None, index: Any = 0, **beside: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]} | beside


def stream(*parts: dict[str, Any] | bytes, done: bool = True) -> bytes:
    """Bytes are taken as they are, objects as events."""
    written = [part if isinstance(part, bytes) else b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts]
    return b"".join(written) + (b"data: [DONE]\n\n" if done else b"")


def decoded(
    parts: Iterable[bytes], of: ChatCall | None = None, headers: dict[str, str] | None = None, by: ChatAdapter = ADAPTER
) -> tuple[list[ProviderEvent], GatewayError | None]:
    """All events, and the failure that ended them."""
    decoder = by.decoder(of or call())
    events: list[ProviderEvent] = []
    try:
        events.extend(decoder.begin(SSE if headers is None else headers))
        for part in parts:
            events.extend(decoder.feed(part))  # what came before a fault stays
        events.extend(decoder.eof())
    except GatewayError as failure:
        return events, failure
    return events, None


def events_of(*parts: dict[str, Any] | bytes, of: ChatCall | None = None, done: bool = True) -> list[ProviderEvent]:
    """Of a stream that holds."""
    events, failure = decoded([stream(*parts, done=done)], of)
    assert failure is None
    assert events[-1] == Done()
    return events


def deltas(events: Iterable[ProviderEvent], index: int = 0) -> list[dict[str, Any]]:
    chunks = [event.chunk for event in events if isinstance(event, Delta)]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]


def text_of(events: Iterable[ProviderEvent], name: str = "content", index: int = 0) -> str:
    return "".join(delta.get(name) or "" for delta in deltas(events, index))


def finishes(events: Iterable[ProviderEvent]) -> list[tuple[int, str]]:
    chunks = [event.chunk for event in events if isinstance(event, Delta)]
    return [(c["index"], c["finish_reason"]) for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]


def reports(events: Iterable[ProviderEvent]) -> list[Report]:
    return [event for event in events if isinstance(event, Report)]

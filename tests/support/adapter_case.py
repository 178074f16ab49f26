"""What a chat adapter is tested by: small answers in its vendor's words, and what is in them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from domain.catalog import Provider
from providers.base import ChatAdapter, UpstreamRequest

SECRET = "SECRET"  # what no error may repeat: vendor texts, hosts and keys hold it
EVENTS = {"content-type": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer that holds, and what is in it."""

    raw: bytes
    text: str
    """Of all choices, in the order in which it came."""
    output_tokens: int | None = None
    choices: int = 1
    headers: Mapping[str, str] | None = None
    """When they are not the usual ones of this wire."""


def openai_sent(request: UpstreamRequest) -> tuple[str, int]:
    body = json.loads(request.body)
    return body["model"], body["max_tokens"]


@dataclass(frozen=True, slots=True)
class AdapterCases:
    """An adapter, and answers in its vendor's words."""

    adapter: ChatAdapter
    streams: Mapping[str, Stream]
    broken: Mapping[str, bytes]
    """Streams that end in a failure."""
    answers: Mapping[str, bytes]
    no_answers: Mapping[str, bytes]
    errors: Mapping[str, tuple[int, bytes]]
    sent: Callable[[UpstreamRequest], tuple[str, int]] = openai_sent
    """The model and the output limit that one of its requests names."""
    headers: Mapping[str, str] = field(default_factory=lambda: EVENTS)
    """Of a stream."""


def provider(kind: str) -> Provider:
    key = SecretStr(f"sk-{SECRET}")
    return Provider(name="p", kind=kind, active=True, base_url=f"https://{SECRET}.invalid/v1", api_key=key)


def written(value: Any) -> bytes:
    return json.dumps(value).encode()

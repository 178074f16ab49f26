"""Each vendor's strongest signal against keeping prompts and training on them, and the one place that sends it.

Every adapter writes its request with `finished`. The signal is set last, on the finished body and headers: no field of
the caller, no `passes` of the catalog and no request in the vendor's own shape can undo it.
"""

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any, TypedDict, Unpack

from domain.catalog import Capability
from domain.records import record
from providers import upstream_json
from providers.base import UpstreamRequest


@record
class Signal:
    """Fields and headers that a vendor reads as: do not keep this, do not train on it."""

    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


RETAINED = ("x-zero-data-retention", "false")
"""How xAI answers for a team without zero retention. A name of one vendor's own: it is looked for in every answer."""
NONE = Signal()
"""For vendors without a signal in the request. A contract or a switch in their console decides."""
STORE = Signal({"store": False})
"""OpenAI and Azure (chat, Responses), Gemini (generateContent, and its OpenAI-compatible endpoint)."""
OPENROUTER = Signal({"provider": {"data_collection": "deny", "zdr": True}})
FAL = Signal(
    headers={
        "X-Fal-Store-IO": "0",
        "X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 3600}',
    }
)
"""fal stores neither input nor output, and deletes the files, which are public, after an hour."""
OF_KIND: Mapping[str, Signal] = {
    "openai": NONE,  # any server: many answer 400 to a field that they do not know; `store` is a capability
    "openrouter": OPENROUTER,
    "azure": NONE,  # `store` is a capability: old versions of its API do not know it
    "openai_responses": STORE,
    "anthropic": NONE,
    "demo": NONE,
    "gemini": STORE,
    "vertex": NONE,
    "xai": NONE,
    "fal": FAL,
    "replicate": NONE,
    "elevenlabs": NONE,  # in the address, with the capability `disable_logging`: others answer with an error
}
"""The signal of each kind of provider. A kind that is not here cannot chat."""


@lru_cache(maxsize=256)
def of(kind: str, capabilities: frozenset[str]) -> Signal:
    """Return the signal for one route: that of its provider's kind, and `store` where the catalog names it."""
    signal = OF_KIND[kind]
    if Capability.STORE in capabilities:
        return Signal({**signal.body, **STORE.body}, signal.headers)
    return signal


class Facts(TypedDict, total=False):
    """What else `UpstreamRequest` has."""

    dropped: tuple[str, ...]
    native: bool


def finished(
    url: str, headers: Mapping[str, str], body: Mapping[str, Any], signal: Signal, **facts: Unpack[Facts]
) -> UpstreamRequest:
    """Set the signal on what is otherwise the whole request, and write it."""
    sent = upstream_json.written(signed(body, signal))
    return UpstreamRequest(url, _headers(headers, signal.headers), sent, retained=RETAINED, **facts)


def signed(body: Mapping[str, Any], signal: Signal) -> Mapping[str, Any]:
    """Return a body, otherwise finished, with the signal: for requests that are not written here."""
    return _over(body, signal.body) if signal.body else body


def _over(body: Mapping[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with the fields of the signal. An object is completed, any other value is replaced."""
    sent = dict(body)
    for name, value in signal.items():
        old = sent.get(name)
        sent[name] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return sent


def _headers(headers: Mapping[str, str], signal: Mapping[str, str]) -> Mapping[str, str]:
    if not signal:
        return headers
    ours = {name.lower() for name in signal}
    return {**{name: value for name, value in headers.items() if name.lower() not in ours}, **signal}

"""The rules for a caller's fields that hold for every vendor: which ones are never sent, and which count as dropped."""

from collections.abc import Collection, Mapping
from typing import Any

from domain.errors import RequestInvalid
from domain.request_fields import HARMLESS, NEVER_SENT
from providers import message_fields

_ACTED_ON = frozenset(
    {"model", "store", "max_tokens", "max_completion_tokens", "stream", "stream_options", "max_credits", "strict"}
    | {"privacy"}
    | {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Fields that are not named as dropped: this server acts on them itself, or promises not to pass them on."""
_PRICED = frozenset({"service_tier", "web_search_options"})
"""Fields that the caller pays for: where they have no effect, they are refused."""


def split(
    body: Mapping[str, Any], allowed: Collection[str], passes: Collection[str] = (), drops: Collection[str] = ()
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that may be sent, and the names of dropped ones for `UpstreamRequest.dropped`.

    `allowed` are the adapter's fields; `passes` and `drops` those of the call; `*` in `passes` allows all. Messages and
    tools are sent with known fields only. Raises `RequestInvalid` for a field in `drops` that must not be lost.
    """
    everything = "*" in passes
    sent, dropped = {}, []
    for name, value in body.items():
        if name in drops and value is not None:
            _check_can_be_lost(name, value)
            dropped.append(name)
        elif name not in NEVER_SENT and (everything or name in allowed or name in passes):
            sent[name] = value
        elif name not in _ACTED_ON and value is not None:
            if name in _PRICED:
                _check_can_be_lost(name, value)
            dropped.append(name)
    for name, cleaned in message_fields.CLEANED.items():
        if isinstance(given := sent.get(name), list):
            sent[name], lost = cleaned(given, passes, drops)
            dropped += [f"{name}.{each}" for each in lost if each not in _ACTED_ON]
    return sent, tuple([name for name in dropped if name not in _ACTED_ON])


def _check_can_be_lost(name: str, value: Any) -> None:
    if name in HARMLESS and value not in HARMLESS[name]:
        raise RequestInvalid(
            f"'{name}' is not a parameter that this model takes here.", param=name, code="unsupported_parameter"
        )

"""The rules for a caller's fields that hold for every vendor: which ones are never sent, and which count as dropped."""

from collections.abc import Collection, Mapping
from typing import Any

from domain.request_fields import NEVER_SENT

_ACTED_ON = frozenset(
    {"model", "store", "max_tokens", "max_completion_tokens", "stream", "stream_options", "max_credits", "strict"}
    | {"privacy"}
    | {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Fields that are not named as dropped: this server acts on them itself, or promises not to pass them on."""


def split(
    body: Mapping[str, Any], allowed: Collection[str], passes: Collection[str] = ()
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that may be sent, and the names of dropped ones for `UpstreamRequest.dropped`.

    `allowed` are the adapter's fields, `passes` those of the call; `*` in `passes` allows all.
    """
    everything = "*" in passes
    sent, dropped = {}, []
    for name, value in body.items():
        if name not in NEVER_SENT and (everything or name in allowed or name in passes):
            sent[name] = value
        elif name not in _ACTED_ON and value is not None:
            dropped.append(name)
    return sent, tuple(dropped)

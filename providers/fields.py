"""A caller's fields, before any vendor's: what no provider is ever sent, and the names of what one is not sent."""

from collections.abc import Collection, Mapping
from typing import Any

ABOUT_THE_CALLER = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id", "trace"}
    | {"end_user", "end_user_id", "user_id", "user_email", "email", "ip", "ip_address", "client_ip", "trace_id"}
    | {"conversation_id", "customer_identifier", "litellm_metadata", "headers"}
)
"""Never sent, whatever the catalog says."""
OURS = frozenset(
    {"model", "store", "provider", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream"}
    | {"stream_options", "options", "api_base", "base_url", "api_key", "extra_headers", "extra_body", "extra_query"}
    | {"max_credits", "strict"}
)
"""What decides where a call goes, what it may use and what is kept of it: set here, or not at all."""
_ACTED_ON = frozenset(
    {"model", "store", "max_tokens", "max_completion_tokens", "stream", "stream_options", "max_credits", "strict"}
    | {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Not sent as they are, and no surprise: this server acts on them, or promises to keep them to itself."""
_NEVER = ABOUT_THE_CALLER | OURS


def split(
    body: Mapping[str, Any], allowed: Collection[str], passes: Collection[str] = ()
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What may be sent, and the names of what was dropped unheard: those go into `UpstreamRequest.dropped`.

    `allowed` are the fields that the adapter puts into its request; `passes` are those of the call.
    """
    everything = "*" in passes
    sent, dropped = {}, []
    for name, value in body.items():
        if name not in _NEVER and (everything or name in allowed or name in passes):
            sent[name] = value
        elif name not in _ACTED_ON and value is not None:
            dropped.append(name)
    return sent, tuple(dropped)

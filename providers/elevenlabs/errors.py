"""What ElevenLabs' errors mean. One status has several meanings there: 401 is also an empty quota."""

from collections.abc import Mapping
from datetime import timedelta

from domain.errors import ContentPolicyViolation, GatewayError, UpstreamBusy, UpstreamError, UpstreamRefused
from providers import upstream_json
from providers.base import Headers
from providers.media_http import of_our_account
from providers.openai.errors import retry_after

CROWDED_PAUSE = timedelta(seconds=1)
"""Our account speaks as much as it may at a time: a place is free as soon as one speech is over."""
POLICY = ("policy", "moderation", "flagged", "unusual_activity")
"""In the words for machines of what it does not speak."""
ACCOUNT = frozenset({"quota_exceeded", "invalid_api_key", "missing_permissions", "needs_authorization"})
INPUT = frozenset({"voice_not_found", "model_not_found", "max_character_limit_exceeded"})


def explained(status: int, headers: Headers, body: bytes) -> GatewayError | None:
    """Return the error of an answer. None: what the status means anywhere."""
    words = _words(body)
    if "too_many_concurrent_requests" in words:
        return UpstreamBusy(retry_after=retry_after(headers) or CROWDED_PAUSE)
    if words & ACCOUNT:
        return of_our_account()
    if status < 500 and any(part in word for word in words for part in POLICY):
        return ContentPolicyViolation()
    return UpstreamRefused() if words & INPUT else None


def _words(body: bytes) -> set[str]:
    try:
        value = upstream_json.read_whole(body)
    except UpstreamError:
        return set()
    detail = value.get("detail") if isinstance(value, Mapping) else None
    if not isinstance(detail, Mapping):
        return set()
    return {word for name in ("status", "code", "type") if isinstance(word := detail.get(name), str)}

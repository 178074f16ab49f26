"""Identifiers and what is derived from them. Pure: the caller brings the clock and the entropy."""

from uuid import UUID

CHAT_PREFIX = "chatcmpl-"
MESSAGE_PREFIX = "msg_"
"""Of the same id, where the client speaks Anthropic's wire."""


def uuid7(milliseconds: int, entropy: bytes) -> UUID:
    """RFC 9562 version 7: 48 bits of Unix milliseconds, then 74 bits from `entropy` (10 bytes)."""
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def chat_id(hold_id: UUID) -> str:
    """The public id of a chat call: its hold's key, and its charge's id."""
    return CHAT_PREFIX + hold_id.hex


def message_id(chat_id: str) -> str:
    """The id of a chat call as Anthropic's clients see it."""
    return MESSAGE_PREFIX + chat_id.removeprefix(CHAT_PREFIX)


def workflow_id(job_id: UUID) -> str:
    return f"media-{job_id}"


def delivery_workflow_id(delivery_id: UUID, round_: int) -> str:
    return f"webhook-{delivery_id}-{round_}"


def purge_workflow_id(purge_id: UUID) -> str:
    return f"purge-{purge_id}"

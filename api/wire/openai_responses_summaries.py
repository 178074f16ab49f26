"""Items of the type `compaction` that this server made: each has a summary, which is read back as a message.

OpenAI's own items of this type stay as they are: only OpenAI can read them.
"""

from typing import Any

PACKED = "yout-compaction-1."
"""What the `encrypted_content` of such an item begins with. The summary follows: this server has no secret in it."""
BEFORE = "A summary of the conversation before this message:\n\n"


def item(item_id: str, summary: str) -> dict[str, Any]:
    return {"id": item_id, "type": "compaction", "encrypted_content": PACKED + summary}


def as_messages(items: list[Any]) -> list[Any]:
    """Put messages in the places of the items that this server made."""
    return [_message(each) or each for each in items]


def _message(each: Any) -> dict[str, Any] | None:
    if not isinstance(each, dict) or each.get("type") != "compaction":
        return None
    content = each.get("encrypted_content")
    if not isinstance(content, str) or not content.startswith(PACKED):
        return None
    return {"type": "message", "role": "user", "content": BEFORE + content.removeprefix(PACKED)}

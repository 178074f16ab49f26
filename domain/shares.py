"""Shared pages: what one may contain, how it is named, and how long it lives.

The slug is the only thing that opens a page, so it is stored as a hash, as a key's token is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from domain.conversations import SavedMessage
from domain.errors import RequestInvalid, RequestTooLarge
from domain.keys import base62
from domain.records import record

SLUG_LENGTH = 22
"""In base62: 131 bits."""
SLUG_ENTROPY_BYTES = 32
MAX_MESSAGES = 1000
MAX_TEXT_BYTES = 1024 * 1024
"""Of all texts of a page, as UTF-8."""
MAX_IMAGES = 200
MAX_LINK = 2000
"""Characters of a link to an image."""
MAX_TITLE = 200
_SPOKEN = ("user", "assistant")
ROLES = ("system", "developer", "user", "assistant", "tool")
_TEXT_PARTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}


@record
class SharedMessage:
    """A message as a page shows it."""

    role: str
    text: str = field(repr=False)
    model: str | None = None
    """Of an answer: how its model is called."""
    images: tuple[str, ...] = field(default=(), repr=False)
    """Links."""
    omitted: int = 0
    """Parts that are not shared: pictures that were sent as bytes, sound, files."""


@record
class Lifetimes:
    """How long pages live. None: for ever."""

    usual: timedelta | None
    longest: timedelta | None

    def end(self, now: datetime, ending: "Ending") -> datetime | None:
        """Return when a page ends. Raises `RequestInvalid`."""
        if ending.after is not None and ending.has_time:
            raise RequestInvalid("Send 'expires_in' or 'expires_at', not both.", param="expires_at")
        param = "expires_in" if ending.after is not None else "expires_at"
        if ending.after is not None:
            until: datetime | None = now + ending.after
        elif ending.has_time:
            until = ending.at
        else:
            until = None if self.usual is None else now + self.usual
        if until is not None and until <= now:
            raise RequestInvalid(f"'{param}' must be in the future.", param=param)
        if self.longest is not None and (until is None or until > now + self.longest):
            max_seconds = int(self.longest.total_seconds())
            raise RequestInvalid(f"'{param}': a shared page lives for {max_seconds} seconds at most here.", param=param)
        return until


@record
class Ending:
    """When a caller wants a page to end."""

    after: timedelta | None = None
    at: datetime | None = None
    has_time: bool = False
    """Whether `at` was sent. None then means: never."""


def slug_of(entropy: bytes) -> str:
    """A new slug from random bytes."""
    if len(entropy) != SLUG_ENTROPY_BYTES:
        raise ValueError(f"a slug is made of {SLUG_ENTROPY_BYTES} random bytes")
    return base62(int.from_bytes(entropy, "big"), SLUG_LENGTH)


def slug_hash(slug: str) -> bytes:
    """What is stored. A slug that is no text of Unicode has a hash too, of a page that does not exist."""
    return hashlib.sha256(slug.encode(errors="surrogatepass")).digest()


def aad(account_id: UUID, hashed: bytes, part: str) -> str:
    return f"shares|{account_id}|{hashed.hex()}|{part}"


def messages_of(messages: Sequence[Mapping[str, Any]], models: Sequence[str | None]) -> list[SharedMessage]:
    """Read OpenAI's messages. `models` names the model of each. Those without anything to show are left out.

    Raises `RequestInvalid`, which names the field, and `RequestTooLarge`.
    """
    if len(messages) > MAX_MESSAGES:
        raise RequestInvalid(f"'messages': a shared page has {MAX_MESSAGES} messages at most.", param="messages")
    read = [
        _message(message, model, f"messages[{index}]")
        for index, (message, model) in enumerate(zip(messages, models, strict=True))
    ]
    if sum(len(message.text.encode()) for message in read) > MAX_TEXT_BYTES:
        raise RequestTooLarge(f"'messages': a shared page has {MAX_TEXT_BYTES} bytes of text at most.", "messages")
    if sum(len(message.images) for message in read) > MAX_IMAGES:
        raise RequestInvalid(f"'messages': a shared page has {MAX_IMAGES} images at most.", param="messages")
    shown = [message for message in read if message.text.strip() or message.images or message.omitted]
    if not shown:
        raise RequestInvalid("'messages' must have a text to share.", param="messages")
    return shown


@record
class Selection:
    """Which messages of a saved conversation are shared. With neither, all questions and answers."""

    up_to: int | None = None
    """The position of the last one."""
    positions: frozenset[int] | None = None
    """These alone, of whatever role."""

    def of(self, messages: Sequence[SavedMessage]) -> list[SavedMessage]:
        """Raises `RequestInvalid` for a position that the conversation does not have."""
        known = {message.position for message in messages}
        if self.up_to is not None and self.up_to not in known:
            raise RequestInvalid("'up_to' must be the position of a message of the conversation.", param="up_to")
        if self.positions is not None:
            if not self.positions <= known:
                message = "'positions' must be positions of messages of the conversation."
                raise RequestInvalid(message, param="positions")
            return [message for message in messages if message.position in self.positions]
        last = max(known, default=0) if self.up_to is None else self.up_to
        return [message for message in messages if message.position <= last and message.role in _SPOKEN]


def _message(message: Mapping[str, Any], model: str | None, at: str) -> SharedMessage:
    if (role := message.get("role")) not in ROLES:
        code = "missing_required_parameter" if role is None else "invalid_value"
        raise RequestInvalid(f"'{at}.role' must be one of {', '.join(ROLES)}.", param=f"{at}.role", code=code)
    content = message.get("content")
    if content is None:
        content = message.get("refusal") or ""
    if isinstance(content, str):
        return SharedMessage(str(role), content, model)
    if not isinstance(content, list):
        raise _wrong(f"{at}.content", "must be a text or a list of parts")
    parts = [_part(part, f"{at}.content[{place}]") for place, part in enumerate(content)]
    return SharedMessage(
        role=str(role),
        text="\n\n".join(text for text, _ in parts if text),
        model=model,
        images=tuple(link for _, link in parts if link),
        omitted=sum(1 for text, link in parts if text is None and link is None),
    )


def _part(part: Any, at: str) -> tuple[str | None, str | None]:
    """Return the text of a part, or its link, or neither for one that is not shared."""
    if not isinstance(part, Mapping) or not isinstance(kind := part.get("type"), str):
        raise _wrong(at, "must be a part with a 'type'")
    if (name := _TEXT_PARTS.get(kind)) is not None:
        if not isinstance(text := part.get(name), str):
            raise _wrong(f"{at}.{name}", "must be a text")
        return text, None
    if kind != "image_url":
        return None, None
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise _wrong(f"{at}.image_url.url", "must be a text")
    if url[:5].lower() == "data:":
        return None, None
    if not is_link(url):
        message = f"'{at}.image_url.url' must be a link of http or https, or a data URL, which is not shared."
        raise RequestInvalid(message, param=f"{at}.image_url.url")
    return None, url


def is_link(url: str) -> bool:
    """Tell whether a text is an address of http or https, without white space and control characters."""
    if len(url) > MAX_LINK or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _wrong(param: str, sentence: str) -> RequestInvalid:
    return RequestInvalid(f"'{param}' {sentence}.", param=param, code="invalid_type")

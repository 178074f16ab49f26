"""Whether an answer that its provider paused goes on, within the same hold: the limits of its next part.

A provider that runs tools of its own, such as searches, may end an answer before it is complete, and goes on when it is
asked again with what it has written. It then reads all of its input anew, and bills it.
"""

from dataclasses import field
from typing import Any

from domain.pricing import Usage
from domain.records import record
from providers.base import Paused

MAX_PARTS = 6
"""Parts of one answer. A provider that pauses more often has the answer end there, with `length`."""


@record
class Continuation:
    """What an answer has so far, and what its hold still pays for."""

    content: tuple[dict[str, Any], ...] = field(repr=False)
    used: Usage
    """Of all parts so far."""
    parts: int
    searches: int
    """What the next part may search, at most."""


@record
class Held:
    """What the hold of a call pays for."""

    input_tokens: int
    window: int
    """The most tokens that one reading of the input has."""
    searches: int


def after(paused: Paused, used: Usage | None, before: Continuation | None, held: Held) -> Continuation | None:
    """Return the next part's limits. None: the hold does not pay for one, or nobody knows what was used.

    A part reads the input once, and once more after each search.
    """
    parts = 1 if before is None else before.parts + 1
    if used is None or parts >= MAX_PARTS:
        return None
    readings = (held.input_tokens - used.input_tokens) // held.window
    searches = min(held.searches - (used.web_searches or 0), readings - 1)
    return Continuation(paused.content, used, parts, searches) if searches > 0 else None

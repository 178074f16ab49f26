"""The duration of a `-slow` model, from `[seconds=8]` in its prompt."""

import re

MAX_SECONDS = 600.0
_DIRECTIVE = re.compile(r"\[seconds=(\d{1,6}(?:\.\d{1,3})?)\]")


def seconds(text: str, default: float) -> float:
    match = _DIRECTIVE.search(text)
    return min(float(match[1]), MAX_SECONDS) if match else default


def without_directive(text: str) -> str:
    return _DIRECTIVE.sub("", text).strip()

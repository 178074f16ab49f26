"""What a Gemini model can take, by its name: generations differ in how thinking is set and in what tools do."""

import re

_NAME = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST = (99, 0)
_NO_THINKING = ("-image", "-tts", "-live", "banana", "gemma", "learnlm")
THREE = (3, 0)
_FIRST_THAT_THINKS = (2, 5)


def generation(model: str) -> tuple[int, int]:
    """Return the version in the model's name, such as (2, 5). A name without one is taken for the newest model."""
    match = _NAME.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else _NEWEST


def thinks(model: str) -> bool:
    """Tell whether the model takes a thinking configuration."""
    return generation(model) >= _FIRST_THAT_THINKS and not any(part in model for part in _NO_THINKING)


def always_thinks(model: str) -> bool:
    """Tell whether thinking can be made short and not turned off."""
    return re.search(r"(^|-)pro($|-)", model) is not None

"""Bounds of which some are not set."""

from datetime import datetime
from typing import TypeVar

Bound = TypeVar("Bound", int, datetime)


def lowest(*bounds: Bound | None) -> Bound | None:
    """Return the lowest of those that are set. None: none is."""
    return min((bound for bound in bounds if bound is not None), default=None)

"""Translates `reasoning_effort` and `reasoning` into a thinking configuration: a budget for 2.5, a level since 3."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import RequestInvalid
from providers.gemini import models
from providers.upstream_json import integer

FIELDS = frozenset({"reasoning_effort", "reasoning", "include_reasoning"})
_LEVELS: Mapping[str, str] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
_BUDGETS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
"""The budgets that Google's own OpenAI-compatible endpoint uses, within what every 2.5 model takes."""
MIN_BUDGET_OF_PRO = 128
MAX_BUDGET = 24576


@dataclass(frozen=True, slots=True)
class _Wish:
    effort: str | None = field(repr=False)
    budget: int | None
    shown: bool
    """Whether the caller wants to read the thoughts."""


def config(given: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the `thinkingConfig` for a model that thinks; empty when the request says nothing of it."""
    if FIELDS.isdisjoint(given):
        return {}
    wish = _read(given)
    since_three = models.generation(model) >= models.THREE
    thinking: dict[str, Any] = {"includeThoughts": wish.shown}
    if wish.budget is not None:
        thinking["thinkingBudget"] = min(wish.budget, MAX_BUDGET)
    elif wish.effort is not None and since_three:
        level = _LEVELS[wish.effort]
        thinking["thinkingLevel"] = "LOW" if level == "MINIMAL" and models.always_thinks(model) else level
    elif wish.effort is not None:
        least = MIN_BUDGET_OF_PRO if models.always_thinks(model) else 0
        thinking["thinkingBudget"] = max(_BUDGETS[wish.effort], least)
    return thinking


def _read(given: Mapping[str, Any]) -> _Wish:
    details = given.get("reasoning", {})
    if not isinstance(details, dict):
        raise RequestInvalid("'reasoning' must be an object.", param="reasoning", code="invalid_type")
    name = "reasoning_effort" if "reasoning_effort" in given else "reasoning.effort"
    effort = given.get("reasoning_effort", details.get("effort"))
    if effort is not None and (not isinstance(effort, str) or effort not in _LEVELS):
        raise RequestInvalid(f"'{name}' must be one of {', '.join(_LEVELS)}.", param=name)
    if details.get("enabled") is False:
        effort = "none"
    shown = effort != "none" and details.get("exclude") is not True and given.get("include_reasoning") is not False
    return _Wish(effort, _budget(details) if effort is None else None, shown)


def _budget(details: Mapping[str, Any]) -> int | None:
    budget = details.get("max_tokens")
    if budget is None:
        return None
    count = integer(budget)
    if count is None or count < 1:
        raise RequestInvalid("'reasoning.max_tokens' must be an integer above 0.", param="reasoning.max_tokens")
    return count

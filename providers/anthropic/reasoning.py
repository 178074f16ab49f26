"""Thinking: how much of it a request asks for, and the thinking of earlier turns, which goes back as it came.

Anthropic checks the signature of each block. Reasoning without one, or of another vendor, is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.anthropic.blocks import FORMAT
from providers.anthropic.models import ModelRules, Thinking
from providers.anthropic.parts import invalid

MIN_BUDGET = 1024
_MAX_SHARED_BUDGET = 32_000
_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.95}
"""The part of the output limit that an effort may think, where a model takes a number of tokens."""
FIELDS = ("reasoning", "reasoning_effort", "thinking")


@dataclass(slots=True)
class Wish:
    """What a request says of thinking, in any of its forms."""

    on: bool | None = None
    effort: str | None = field(default=None, repr=False)
    budget: int | None = None
    hidden: bool = False
    names: tuple[str, ...] = field(default=(), repr=False)
    """The fields of the request that say it."""


@dataclass(slots=True)
class Plan:
    """What is sent."""

    thinking: dict[str, Any] | None = field(default=None, repr=False)
    effort: str | None = field(default=None, repr=False)
    dropped: tuple[str, ...] = field(default=(), repr=False)

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


def wish(body: Mapping[str, Any]) -> Wish:
    """Read what a request asks for. Raises `RequestInvalid` for a value that is none."""
    requested = Wish(names=tuple(name for name in FIELDS if body.get(name) is not None))
    requested.hidden = body.get("include_reasoning") is False
    _take_effort(requested, body.get("reasoning_effort"), "reasoning_effort")
    reasoning = body.get("reasoning")
    if isinstance(reasoning, Mapping):
        _take_effort(requested, reasoning.get("effort"), "reasoning.effort")
        requested.budget = _budget(reasoning.get("max_tokens"), "reasoning.max_tokens") or requested.budget
        if isinstance(reasoning.get("enabled"), bool):
            requested.on = reasoning["enabled"]
        requested.hidden = requested.hidden or reasoning.get("exclude") is True
    thinking = body.get("thinking")
    if isinstance(thinking, Mapping):
        requested.budget = _budget(thinking.get("budget_tokens"), "thinking.budget_tokens") or requested.budget
        requested.on = thinking.get("type") != "disabled"
    if requested.on is None and (requested.effort or requested.budget):
        requested.on = True
    return requested


def _take_effort(requested: Wish, value: object, where: str) -> None:
    if value is None:
        return
    if value == "none":
        requested.on = False
    elif isinstance(value, str) and value in _SHARES:
        requested.effort = value
    else:
        raise invalid(where, f"must be one of none, {', '.join(_SHARES)}.")


def _budget(value: object, where: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(where, "must be a whole number of tokens.", "invalid_type")
    return value


def plan(requested: Wish, rules: ModelRules, limit: int, *, possible: bool, budgeted: bool) -> Plan:
    """Decide what is sent. The output limit stays above the budget.

    `possible`: thinking may follow at all; `budgeted`: it may with a budget, which a turn that was begun without
    thinking does not take.
    """
    if requested.on is None:
        return Plan()
    if requested.on is False:
        return Plan() if rules.thinking is Thinking.MANUAL else Plan({"type": "disabled"})
    fixed = requested.budget is not None and budgeted and limit > MIN_BUDGET
    adaptive = rules.thinking is Thinking.ADAPTIVE or (rules.thinking is Thinking.EITHER and not fixed)
    if adaptive:
        effort = rules.effort(requested.effort) if requested.effort else None
        if not possible:
            return Plan(None, effort, () if effort else requested.names)
        shown = (
            {} if rules.thinking is Thinking.EITHER else {"display": "omitted" if requested.hidden else "summarized"}
        )
        return Plan({"type": "adaptive", **shown}, effort)
    if not (possible and budgeted) or limit <= MIN_BUDGET:
        return Plan(dropped=requested.names)
    share = int(limit * _SHARES[requested.effort or "medium"])
    budget = requested.budget if requested.budget is not None else min(share, _MAX_SHARED_BUDGET)
    return Plan({"type": "enabled", "budget_tokens": min(max(budget, MIN_BUDGET), limit - 1)})


def blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the thinking of an assistant's message, in order: its `reasoning_details`, or parts of its content."""
    details = message.get("reasoning_details")
    if isinstance(details, list):
        return [block for each in _merged(details) if (block := _of_detail(each)) is not None]
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [block for part in parts if isinstance(part, Mapping) and (block := _of_part(part)) is not None]


def _merged(details: Iterable[object]) -> list[dict[str, Any]]:
    """Join the pieces of a stream that a client stored as they came: they have the index of their whole."""
    merged: list[dict[str, Any]] = []
    for piece in details:
        if not isinstance(piece, Mapping) or piece.get("format") not in (None, FORMAT):
            continue
        last = merged[-1] if merged else None
        if last is not None and piece.get("type") == last.get("type") == "reasoning.text" and _continues(last, piece):
            last["text"] = _text(last.get("text")) + _text(piece.get("text"))
            last["signature"] = piece.get("signature") or last.get("signature")
        else:
            merged.append(dict(piece))
    return merged


def _continues(last: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    return piece.get("index") == last.get("index") and not last.get("signature")


def _of_detail(detail: Mapping[str, Any]) -> dict[str, Any] | None:
    match detail.get("type"):
        case "reasoning.text":
            return _thinking(detail.get("text"), detail.get("signature"))
        case "reasoning.encrypted":
            return _redacted(detail.get("data"))
    return None


def _of_part(part: Mapping[str, Any]) -> dict[str, Any] | None:
    match part.get("type"):
        case "thinking":
            return _thinking(part.get("thinking"), part.get("signature"))
        case "redacted_thinking":
            return _redacted(part.get("data"))
    return None


def _thinking(text: object, signature: object) -> dict[str, Any] | None:
    if not isinstance(signature, str) or not signature:
        return None
    return {"type": "thinking", "thinking": _text(text), "signature": signature}


def _redacted(data: object) -> dict[str, Any] | None:
    return {"type": "redacted_thinking", "data": data} if isinstance(data, str) and data else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

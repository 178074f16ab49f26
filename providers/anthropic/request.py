"""Writes a request on Anthropic's wire from one in OpenAI's shape, with an allow-list of the caller's fields."""

from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid
from providers import fields
from providers.anthropic import reasoning, tools
from providers.anthropic.messages import Conversation, conversation
from providers.anthropic.models import ModelRules, rules
from providers.anthropic.parts import cache_control, invalid, text_block
from providers.base import ChatCall

VERSION = "2023-06-01"
SEARCH: Mapping[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
"""Anthropic's own search. Later versions of it run code too, which may read the input any number of times."""
_WITHOUT_SAMPLING = "2026-10-21"
"""From this version on, `temperature`, `top_p` and `top_k` are errors."""
_SAMPLING = ("temperature", "top_p", "top_k")
PARAMETERS = frozenset(
    {"max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "tools", "tool_choice"}
    | {"parallel_tool_calls", "functions", "function_call", "response_format", "reasoning_effort", "reasoning"}
    | {"thinking", "include_reasoning", "cache_control", "service_tier", "web_search_options"}
)
"""The supported parameters of a model whose catalog entry does not list any."""
_READ = PARAMETERS | {"messages", "n"}
_READ_WITHIN = frozenset({"messages.is_error"})
"""Fields of messages that only this wire has."""
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
}
"""Values that ask for nothing: leaving them out drops nothing."""
_JSON_ONLY = "Answer with one JSON object and nothing else."
_STANDARD_TIER = "standard_only"


def payload(call: ChatCall, version: str = VERSION) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Our own fields are set last: no caller's field replaces one.

    Raises `RequestInvalid` that names what Anthropic has no form for.
    """
    sent, dropped = fields.split(call.body, _READ, call.passes, call.drops)
    body = {name: value for name, value in call.body.items() if name not in call.drops}
    _check(call, body)
    extra = {name: value for name, value in sent.items() if name not in _READ}
    model = rules(call.model)
    talk = conversation(body["messages"], call.passes)
    wire: dict[str, Any] = {"messages": talk.turns}
    _add_tools(wire, body, model)
    if (wanted := body.get("web_search_options")) is not None:
        wire["tools"] = [*wire.get("tools", ()), {**SEARCH, "max_uses": call.max_searches}]
        dropped = (*dropped, *(f"web_search_options.{name}" for name in wanted))
    if call.continues:
        wire["messages"] = [*talk.turns, {"role": "assistant", "content": list(call.continues)}]
    plan = _think(wire, body, call.output_limit, model, talk)
    lost = [*plan.dropped, *_add_sampling(wire, body, model, plan, version), *_add_format(wire, body, talk)]
    _add_rest(wire, body)
    if talk.system:
        wire["system"] = talk.system
    wire = {**extra, **wire, "model": call.model, "max_tokens": call.output_limit}
    if call.stream:
        wire["stream"] = True
    named = [name for name in dropped if name not in _READ_WITHIN and not _is_neutral(body, name)]
    return wire, tuple(dict.fromkeys([*named, *lost]))


def _check(call: ChatCall, body: Mapping[str, Any]) -> None:
    if call.choices != 1 or body.get("n") not in (None, 1):
        raise _unsupported("n", "The provider of this model gives one answer: 'n' must be 1.")


def _unsupported(name: str, message: str) -> RequestInvalid:
    return RequestInvalid(message, param=name, code="unsupported_parameter")


def _is_neutral(body: Mapping[str, Any], name: str) -> bool:
    return body.get(name) in _NEUTRAL.get(name, ())


def _add_tools(wire: dict[str, Any], body: Mapping[str, Any], model: ModelRules) -> None:
    given = tools.tools(body, model)
    if not given:
        return
    wire["tools"] = given
    if (choice := tools.choice(body)) is not None:
        wire["tool_choice"] = choice


def _think(
    wire: dict[str, Any], body: Mapping[str, Any], limit: int, model: ModelRules, talk: Conversation
) -> reasoning.Plan:
    forced = wire.get("tool_choice", {}).get("type") in ("any", "tool")
    possible = not forced and talk.turns[-1]["role"] == "user"
    requested = reasoning.wish(body)
    plan = reasoning.plan(requested, model, limit, possible=possible, budgeted=possible and talk.may_think)
    if plan.thinking is not None:
        wire["thinking"] = plan.thinking
    if plan.effort is not None:
        wire["output_config"] = {"effort": plan.effort}
    return plan


def _add_sampling(
    wire: dict[str, Any], body: Mapping[str, Any], model: ModelRules, plan: reasoning.Plan, version: str
) -> list[str]:
    """Add the sampling fields that this model takes, and return the names of the others."""
    given = {name: body[name] for name in _SAMPLING if body.get(name) is not None}
    if not model.sampling or version >= _WITHOUT_SAMPLING or plan.thinks:
        return list(given)
    if "temperature" in given:
        given["temperature"] = min(given["temperature"], 1)
    lost = ["top_p"] if model.one_of_sampling and {"temperature", "top_p"} <= given.keys() else []
    wire.update({name: value for name, value in given.items() if name not in lost})
    return lost


def _add_format(wire: dict[str, Any], body: Mapping[str, Any], talk: Conversation) -> list[str]:
    wanted = body.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") == "text":
        return []
    if wanted.get("type") == "json_object":
        talk.system.append(text_block(_JSON_ONLY))
        return []
    within = wanted.get("json_schema")
    schema = within.get("schema") if isinstance(within, Mapping) else None
    if wanted.get("type") != "json_schema" or not isinstance(schema, Mapping):
        raise invalid("response_format", "must be text, json_object, or json_schema with a 'schema'.")
    form = {"type": "json_schema", "schema": _closed(schema)}
    wire["output_config"] = {**wire.get("output_config", {}), "format": form}
    return []


def _closed(schema: Any) -> Any:
    """Say of each object that it has no other properties, where the schema says nothing: Anthropic insists on it."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), Mapping):
        closed.setdefault("additionalProperties", False)
    return closed


def _add_rest(wire: dict[str, Any], body: Mapping[str, Any]) -> None:
    stop = body.get("stop")
    words = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    words = [word for word in words if isinstance(word, str) and word.strip()]
    if words:
        wire["stop_sequences"] = words
    if (control := cache_control(body.get("cache_control"))) is not None:
        wire["cache_control"] = control
    if body.get("service_tier") == "default":
        wire["service_tier"] = _STANDARD_TIER

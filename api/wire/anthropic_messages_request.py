"""Reads requests in the form of Anthropic's Messages, and translates them into OpenAI's shape.

The body itself goes to a provider that speaks this wire: cache markers, signatures and such survive there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from api.wire import anthropic_messages_tools as tools
from api.wire import values
from api.wire.anthropic_messages_input import Translation, about_the_client
from domain.money import MAX_AMOUNT
from domain.pricing import MAX_TOKENS
from domain.request_fields import ABOUT_THE_CALLER
from gateway.wire import ModelCall
from providers.base import NativeRequest

WIRE = "anthropic"
MAX_TOP_K = 1_000_000
_SAME = ("temperature", "top_p", "top_k", "cache_control", "max_credits", "strict")
"""Fields whose name and meaning is the same in the gateway's own shape."""
_TRANSLATED = frozenset(
    {"model", "messages", "max_tokens", "stream", "system", "stop_sequences", "tools", "tool_choice", "thinking"}
    | {"output_config", "output_format", "metadata", "service_tier", *_SAME}
)
_OURS = frozenset({"max_credits", "strict"})
_TIERS = {"auto": None, "standard_only": "default"}
_UNPRICED: Mapping[str, tuple[Any, ...]] = {
    "speed": ("standard",),
    "inference_geo": ("global", "not_available"),
    "mcp_servers": ([],),
    "container": (),
}
"""Fields that cost what no meter has, and their values that cost nothing."""
_PLACES = {
    "stop": "stop_sequences",
    "response_format": "output_config.format",
    "response_format.json_schema.schema": "output_config.format.schema",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}

_TOOL_PLACES = {"": "", ".function": "", ".function.parameters": ".input_schema"}


def parse(body: dict[str, Any]) -> ModelCall:
    """Read a request. Raises `RequestInvalid` that names the first wrong field."""
    max_tokens = values.required(body, "max_tokens", "", int)
    if not 1 <= max_tokens <= MAX_TOKENS:
        raise values.invalid("max_tokens", f"must be between 1 and {MAX_TOKENS}")
    return read(body, max_tokens)


def read(body: dict[str, Any], max_tokens: int | None = None) -> ModelCall:
    """Read a request of which only the input may matter: `max_tokens` is its output limit."""
    model = values.text(body, "model", "")
    translation = _translated(body)
    fields: dict[str, Any] = {"model": model, "messages": translation.messages}
    fields |= {name: value for name, value in _settings(body) if value is not None}
    listed = tools.tools(body, translation.beside)
    if listed:
        fields["tools"] = listed
    searching = tools.search(body, translation.beside)
    if searching is not None:
        fields["web_search_options"] = {}
        translation.places["web_search_options"] = searching.at
    fields |= tools.tool_choice(body, [tool["name"] for tool in body.get("tools") or ()])
    kind = tools.thinking(body)
    fields |= tools.output(body, kind)
    return ModelCall(
        model=model,
        body=fields,
        stream=values.optional(body, "stream", "", bool) is True,
        output_limit=max_tokens,
        max_credits=values.whole_number(body, "max_credits", 1, MAX_AMOUNT),
        strict=body.get("strict") is True,
        max_searches=searching.max_uses if searching else None,
        native=NativeRequest(WIRE, _native(body)),
        untranslated={**_unknown(body), **translation.beside},
        untranslatable=frozenset(
            name for name in translation.beside if name.startswith("tools.") and name[6:].isdigit()
        ),
        places={**_places(body, len(listed)), **translation.places},
    )


def _translated(body: Mapping[str, Any]) -> Translation:
    translation = Translation()
    if body.get("system") is not None:
        translation.system(values.typed(body["system"], "system", str, list), "system")
    messages = values.required(body, "messages", "", list)
    if not messages:
        raise values.invalid("messages", "must have at least one message")
    for index, message in enumerate(messages):
        translation.message(message, f"messages.{index}")
    return translation


def _settings(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the other fields, by OpenAI's names."""
    yield "temperature", values.number(body, "temperature", 0, 1)
    yield "top_p", values.number(body, "top_p", 0, 1)
    yield "top_k", values.whole_number(body, "top_k", 0, MAX_TOP_K)
    stops = values.optional(body, "stop_sequences", "", list) or None
    for index, stop in enumerate(stops or ()):
        values.typed(stop, f"stop_sequences.{index}", str)
    yield "stop", stops
    yield "max_credits", body.get("max_credits")
    yield "strict", values.optional(body, "strict", "", bool)
    values.optional(body, "metadata", "", dict)
    if body.get("service_tier") is not None:
        yield "service_tier", _TIERS[values.word(body, "service_tier", "", _TIERS)]
    if (marker := values.optional(body, "cache_control", "", dict)) is not None:
        values.word(marker, "type", "cache_control", ("ephemeral",))
        yield "cache_control", marker
    for name, free in _UNPRICED.items():
        if body.get(name) is not None and body[name] not in free:
            raise values.invalid(name, "is not priced here", "unsupported_parameter")


def _native(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body without what is about the caller, and without what is for this server only."""
    native = {name: value for name, value in body.items() if name not in ABOUT_THE_CALLER and name not in _OURS}
    if isinstance(system := native.get("system"), list):
        native["system"] = [block for block in system if not about_the_client(block)]
        if not native["system"]:
            del native["system"]
    return native


def _unknown(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that OpenAI's shape has no word for."""
    known = _TRANSLATED | ABOUT_THE_CALLER
    return {name: value for name, value in body.items() if name not in known and value is not None}


def _places(body: Mapping[str, Any], tool_count: int) -> dict[str, str]:
    config = body.get("output_config") or {}
    effort = "output_config.effort" if config.get("effort") is not None else "thinking"
    formatted = {} if config.get("format") is not None else {"response_format": "output_format"}
    places = {**_PLACES, **formatted, "reasoning_effort": effort}
    for index in range(tool_count):
        places |= {f"tools[{index}]{inner}": f"tools.{index}{name}" for inner, name in _TOOL_PLACES.items()}
    return places

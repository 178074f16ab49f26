"""OpenAI's chat completions on the wire: what a request must be, and how answers and chunks look when they leave us.

What the gateway does not need is passed on unchanged; what bears on price is checked where the model is known.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from domain.errors import RequestInvalid
from domain.money import MAX_AMOUNT
from domain.pricing import MAX_TOKENS, Usage, UsageSource

BIG_BODY = 100_000
"""Bytes of a request from which it is parsed and counted off the event loop."""
ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
MOST_CHOICES = 128
SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed"}
)
OURS = frozenset({"max_credits"})
"""Fields that are for this server and never go upstream."""
RELAYED = ("choices", "system_fingerprint", "service_tier", "obfuscation", "citations", "search_results", "images")
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_TOOLS = ("function", "custom")
_REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""Where providers say what a model thinks; some say the same in two of them."""
_NO_TEXT = frozenset({"role", "id", "type", "index", "format", "signature", "data", "annotations"})
_TYPES: Mapping[str, tuple[type, ...]] = {
    "stream": (bool,),
    "temperature": (int, float),
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "stop": (str, list),
    "seed": (int,),
    "tools": (list,),
    "functions": (list,),
    "tool_choice": (str, dict),
    "response_format": (dict,),
    "stream_options": (dict,),
    "logprobs": (bool,),
    "top_logprobs": (int,),
    "parallel_tool_calls": (bool,),
    "reasoning_effort": (str,),
}
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
}
_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "an object"}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    model: str
    body: dict[str, Any]
    stream: bool
    include_usage: bool
    choices: int
    output_limit: int | None
    big: bool = False
    """Not to be looked through on the event loop."""
    max_credits: int | None = None


def parse(body: dict[str, Any]) -> ChatRequest:
    """Raises `RequestInvalid` that names the first field at fault."""
    model = _required(body, "model", str)
    if not model:
        raise RequestInvalid("'model' must not be empty.", param="model")
    _check_messages(_required(body, "messages", list))
    for name, types in _TYPES.items():
        _check_type(name, body.get(name), types)
    for name, (least, most) in _RANGES.items():
        value = body.get(name)
        if value is not None and not least <= value <= most:
            raise RequestInvalid(f"'{name}' must be between {least} and {most}.", param=name)
    _check_tools(body)
    options = body.get("stream_options") or {}
    limit = _count(body, "max_completion_tokens", MAX_TOKENS) or _count(body, "max_tokens", MAX_TOKENS)
    return ChatRequest(
        model=model,
        body=body,
        stream=bool(body.get("stream")),
        include_usage=options.get("include_usage") is True,
        choices=_count(body, "n", MOST_CHOICES) or 1,
        output_limit=limit,
        max_credits=_count(body, "max_credits", MAX_AMOUNT),
    )


def _required(body: Mapping[str, Any], name: str, kind: type) -> Any:
    value = body.get(name)
    if value is None:
        raise RequestInvalid(f"'{name}' is required.", param=name, code="missing_required_parameter")
    _check_type(name, value, (kind,))
    return value


def _check_type(name: str, value: Any, types: tuple[type, ...]) -> None:
    if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        raise RequestInvalid(
            f"'{name}' must be {' or '.join(_NAMES[t] for t in types)}.", param=name, code="invalid_type"
        )


def _count(body: Mapping[str, Any], name: str, most: int) -> int | None:
    value = body.get(name)
    _check_type(name, value, (int,))
    if value is not None and not 1 <= value <= most:
        raise RequestInvalid(f"'{name}' must be between 1 and {most}.", param=name)
    return value


def _check_messages(messages: list[Any]) -> None:
    if not messages:
        raise RequestInvalid("'messages' must have at least one message.", param="messages")
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict):
            raise RequestInvalid(f"'{at}' must be an object.", param=at, code="invalid_type")
        role = message.get("role")
        if role is None:
            raise RequestInvalid(f"'{at}.role' is required.", param=f"{at}.role", code="missing_required_parameter")
        if not isinstance(role, str) or role not in ROLES:
            raise RequestInvalid(f"'{at}.role' must be one of {', '.join(sorted(ROLES))}.", param=f"{at}.role")
        _check_tool_calls(message, at)
        _check_content(message, role, at)


def _check_tool_calls(message: Mapping[str, Any], at: str) -> None:
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        where = f"{at}.tool_calls"
        raise RequestInvalid(f"'{where}' must be an array of objects.", param=where, code="invalid_type")


def _check_content(message: Mapping[str, Any], role: str, at: str) -> None:
    content = message.get("content")
    if content is None:
        if role != "assistant":
            raise RequestInvalid(
                f"'{at}.content' is required.", param=f"{at}.content", code="missing_required_parameter"
            )
        return
    _check_type(f"{at}.content", content, (str, list))
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            where = f"{at}.content[{index}]"
            raise RequestInvalid(f"'{where}' must be an object with a 'type'.", param=where, code="invalid_type")


def _check_tools(body: Mapping[str, Any]) -> None:
    """A provider's own tools, such as its web search, cost what no meter of the catalog says."""
    for index, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in _TOOLS:
            at = f"tools[{index}].type"
            raise RequestInvalid(f"'{at}' must be function or custom.", param=at, code="unsupported_parameter")


def upstream_body(body: Mapping[str, Any], supported: tuple[str, ...] | None) -> dict[str, Any]:
    """Without our own fields, and the sampling fields that the model is known not to take: they would be a 400."""
    left_out = OURS if supported is None else OURS | (SAMPLING - set(supported))
    return {name: value for name, value in body.items() if name not in left_out}


def usage_object(usage: Usage, reported: object) -> dict[str, Any]:
    """What was billed, with the provider's details when it is the provider's count."""
    details: dict[str, Any] = {}
    if usage.source is UsageSource.PROVIDER and isinstance(reported, Mapping):
        details = {name: value for name, value in reported.items() if name.endswith("_details")}
        if isinstance(of_prompt := details.get("prompt_tokens_details"), Mapping):
            billed = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
            told = {name: tokens for name, tokens in billed.items() if name in of_prompt}
            details["prompt_tokens_details"] = {**of_prompt, **told}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        **details,
    }


def event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def delta_text(choices: object) -> str:
    """All text that a chunk's (or answer's) choices carry, in whatever field a provider says it."""
    if not isinstance(choices, list):
        return ""
    return "".join(_choice_text(choice) for choice in choices if isinstance(choice, dict))


def _choice_text(choice: Mapping[str, Any]) -> str:
    said = choice.get("delta") or choice.get("message")
    if not isinstance(said, dict):
        return ""
    content = said.get("content")
    if type(content) is str and (len(said) == 1 or (len(said) == 2 and "role" in said)):  # the common chunk
        return content
    reasoning = next((said[name] for name in _REASONING if said.get(name)), None)
    return "".join([*_texts(said, _REASONING), *_texts(reasoning)])


def _texts(said: object, left_out: Collection[str] = ()) -> Iterator[str]:
    match said:
        case str():
            yield said
        case list():
            for part in said:
                yield from _texts(part)
        case dict():
            for name, value in said.items():
                if name not in _NO_TEXT and name not in left_out:
                    yield from _texts(value)


def relayed(body: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer (or a chunk) may tell beside its choices: nothing about the provider's accounts and hosts."""
    return {name: body[name] for name in RELAYED if name in body}


def finishes(choices: object) -> bool:
    """Whether a chunk closes a choice."""
    return isinstance(choices, list) and any(isinstance(c, dict) and c.get("finish_reason") for c in choices)

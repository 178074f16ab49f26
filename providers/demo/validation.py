"""Refuses what OpenAI's definitions of the fields exclude.

Only the demo needs it: other providers check their requests themselves, and many accept more than OpenAI does.
"""

import re
from typing import Any, NoReturn

from domain.errors import RequestInvalid
from domain.request_fields import RANGES

MAX_STOPS = 4
MAX_TOOLS = 128
MAX_BIAS = 100
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORDS = {
    "reasoning_effort": {"none", "minimal", "low", "medium", "high", "xhigh"},
    "verbosity": {"low", "medium", "high"},
}
_PARTS = {
    "user": {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file"},
    "assistant": {"text": "text", "refusal": "refusal"},
}
_TEXT_ALONE = {"text": "text"}
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}


def check(body: dict[str, Any]) -> None:
    """Check the request. Raises `RequestInvalid`, which names the field."""
    _check_values(body)
    _check_logit_bias(body.get("logit_bias"))
    _check_stop(body.get("stop"))
    _check_response_format(body.get("response_format"))
    names = _check_tools(body.get("tools"))
    _check_tool_choice(body, names)
    _check_functions(body)
    _check_messages(body.get("messages") or [])


def check_unsent(body: dict[str, Any]) -> None:
    """Check what no provider is sent, and what an adapter sets itself. Raises `RequestInvalid`."""
    if not isinstance(body.get("user"), str | None):
        _refuse("user", "expected a string")
    if body.get("stream_options") is not None and body.get("stream") is not True:
        _refuse("stream_options", "it is only allowed when 'stream' is true")
    _check_metadata(body.get("metadata"))


def _refuse(param: str, expected: str) -> NoReturn:
    raise RequestInvalid(f"Invalid '{param}': {expected}.", param=param)


def _check_values(body: dict[str, Any]) -> None:
    for name, (low, high) in RANGES.items():
        value = body.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and low <= value <= high):
            _refuse(name, f"expected a number from {low} to {high}")
    for name, words in _WORDS.items():
        if body.get(name) is not None and body[name] not in words:
            _refuse(name, f"expected one of {', '.join(sorted(words))}")
    if body.get("top_logprobs") is not None and body.get("logprobs") is not True:
        _refuse("top_logprobs", "it is only allowed when 'logprobs' is true")


def _check_logit_bias(biases: object) -> None:
    if biases is None:
        return
    if not isinstance(biases, dict):
        _refuse("logit_bias", "expected an object")
    for token, bias in biases.items():
        if not (token.isascii() and token.isdigit()):
            _refuse("logit_bias", "expected ids of tokens as keys")
        if not isinstance(bias, int | float) or isinstance(bias, bool) or abs(bias) > MAX_BIAS:
            _refuse("logit_bias", f"expected numbers from -{MAX_BIAS} to {MAX_BIAS}")


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or len(metadata) > MAX_METADATA:
        _refuse("metadata", f"expected an object of at most {MAX_METADATA} keys")
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY:
            _refuse("metadata", f"expected keys of at most {MAX_METADATA_KEY} characters")
        if not isinstance(value, str) or len(value) > MAX_METADATA_VALUE:
            _refuse("metadata", f"expected strings of at most {MAX_METADATA_VALUE} characters")


def _check_stop(stop: object) -> None:
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or not all(isinstance(each, str) for each in stop):
        _refuse("stop", "expected a string or a list of strings")
    if len(stop) > MAX_STOPS:
        _refuse("stop", f"expected at most {MAX_STOPS} strings, but got {len(stop)}")


def _check_response_format(wanted: object) -> None:
    match wanted:
        case None | {"type": "text" | "json_object"}:
            return
        case {"type": "json_schema", "json_schema": {"name": str() as name, **described}}:
            if not _NAME.fullmatch(name):
                _refuse("response_format.json_schema.name", "expected up to 64 letters, digits, '_' and '-'")
            if not isinstance(described.get("schema", {}), dict):
                _refuse("response_format.json_schema.schema", "expected an object")
        case {"type": "json_schema", "json_schema": dict()}:
            _refuse("response_format.json_schema.name", "it is missing")
        case {"type": "json_schema"}:
            _refuse("response_format.json_schema", "it is missing")
        case _:
            _refuse("response_format.type", "expected 'text', 'json_object' or 'json_schema'")


def _check_tools(tools: object) -> set[str]:
    if tools is None:
        return set()
    if not isinstance(tools, list) or not 1 <= len(tools) <= MAX_TOOLS:
        _refuse("tools", f"expected a list of 1 to {MAX_TOOLS} tools")
    return {_checked_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools)}


def _checked_tool(tool: object, where: str) -> str:
    match tool:
        case {"type": "function" | "custom" as kind, **described}:
            definition = described.get(kind)
            if not isinstance(definition, dict):
                _refuse(f"{where}.{kind}", "it is missing")
            return _checked_name(definition.get("name"), f"{where}.{kind}.name")
        case _:
            _refuse(f"{where}.type", "expected 'function' or 'custom'")


def _checked_name(name: object, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _refuse(where, "expected up to 64 letters, digits, '_' and '-'")
    return name


def _check_tool_choice(body: dict[str, Any], names: set[str]) -> None:
    choice = body.get("tool_choice")
    if body.get("tools") is None:
        for field in ("tool_choice", "parallel_tool_calls"):
            if body.get(field) is not None and body[field] != "none":
                _refuse(field, "it is only allowed when 'tools' are given")
        return
    match choice:
        case None | "none" | "auto" | "required":
            return
        case {"type": "function", "function": {"name": str() as name}} | {
            "type": "custom",
            "custom": {"name": str() as name},
        }:
            if name not in names:
                _refuse("tool_choice", "it names a tool that is not in 'tools'")
        case {"type": "allowed_tools", "allowed_tools": {"mode": "auto" | "required", "tools": list()}}:
            return
        case _:
            _refuse("tool_choice", "expected 'none', 'auto', 'required' or a tool of 'tools'")


def _check_functions(body: dict[str, Any]) -> None:
    functions, choice = body.get("functions"), body.get("function_call")
    if functions is None:
        if choice not in (None, "none"):
            _refuse("function_call", "it is only allowed when 'functions' are given")
        return
    if not isinstance(functions, list) or not 1 <= len(functions) <= MAX_TOOLS:
        _refuse("functions", f"expected a list of 1 to {MAX_TOOLS} functions")
    names = {
        _checked_name(each.get("name") if isinstance(each, dict) else None, f"functions[{number}].name")
        for number, each in enumerate(functions)
    }
    match choice:
        case None | "none" | "auto":
            return
        case {"name": str() as name} if name in names:
            return
        case _:
            _refuse("function_call", "expected 'none', 'auto' or the name of one of 'functions'")


def _check_messages(messages: list[Any]) -> None:
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            _refuse(f"{where}.role", f"expected one of {', '.join(sorted(_ROLES))}")
        _check_content(message.get("content"), str(role), where)
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                _refuse(where, "a message with role 'tool' must answer a call in 'tool_calls' of a message before it")
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            _refuse(where, "each of the 'tool_calls' before it must be answered by a message with role 'tool'")
        if role == "function":
            _checked_name(message.get("name"), f"{where}.name")
        open_calls = _called(message.get("tool_calls"), where) if role == "assistant" else set()
    if open_calls:
        _refuse("messages", "each of the 'tool_calls' must be answered by a message with role 'tool'")


def _called(calls: object, where: str) -> set[str]:
    ids: set[str] = set()
    for number, call in enumerate(calls if isinstance(calls, list) else []):
        match call:
            case {"id": str() as call_id, "type": "function", "function": {"name": str(), "arguments": str()}}:
                ids.add(call_id)
            case {"id": str() as call_id, "type": "custom", "custom": {"name": str(), "input": str()}}:
                ids.add(call_id)
            case _:
                _refuse(f"{where}.tool_calls[{number}]", "expected an id, a type, a name and arguments")
    return ids


def _check_content(content: object, role: str, where: str) -> None:
    if content is None or isinstance(content, str):
        if content is None and role != "assistant":
            _refuse(f"{where}.content", "it is missing")
        return
    if not isinstance(content, list) or not content:
        _refuse(f"{where}.content", "expected a string or a list of parts")
    known = _PARTS.get(role, _TEXT_ALONE)
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in known:
            _refuse(f"{where}.content[{number}].type", f"expected one of {', '.join(known)}")
        value = part.get(known[kind])
        if not isinstance(value, str if kind in ("text", "refusal") else dict):
            _refuse(f"{where}.content[{number}].{known[kind]}", "it is missing")

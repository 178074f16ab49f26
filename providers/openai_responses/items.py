"""Writes the messages of OpenAI's chat as the items of its Responses."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from domain.errors import RequestInvalid

OPENAI = "openai-responses-v1"
"""The format, in `reasoning_details`, of reasoning that OpenAI reads back."""
Item = dict[str, Any]
Value = TypeVar("Value")


def of_messages(messages: list[Any]) -> list[Item]:
    """Raises `RequestInvalid` that names a part which OpenAI's Responses do not take."""
    custom: set[str] = set()
    return [item for place, each in enumerate(messages) for item in _items(each, f"messages[{place}]", custom)]


def _items(message: Mapping[str, Any], at: str, custom: set[str]) -> Iterator[Item]:
    """`custom` has the ids of calls of custom tools: their outputs are items of another type."""
    role = message.get("role")
    if role == "assistant":
        yield from _of_assistant(message, at, custom)
    elif role in ("tool", "function"):
        named = "tool_call_id" if message.get("tool_call_id") else "name"
        call_id = _typed(message.get(named) or "", str, f"{at}.{named}")
        kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
        yield {"type": kind, "call_id": call_id, "output": _content(message.get("content"), at, "input_text")}
    else:
        content = _content(message.get("content"), at, "input_text")
        yield {"type": "message", "role": role, "content": content}


def _of_assistant(message: Mapping[str, Any], at: str, custom: set[str]) -> Iterator[Item]:
    yield from _reasoning(message.get("reasoning_details"))
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
    if refused := message.get("refusal"):
        parts = [*parts, {"type": "refusal", "refusal": refused}]
    if parts:
        yield {"type": "message", "role": "assistant", "content": _content(parts, at, "output_text")}
    for place, call in enumerate(message.get("tool_calls") or ()):
        yield _call(call, f"{at}.tool_calls[{place}]", custom)
    if isinstance(called := message.get("function_call"), dict):
        yield _call({"id": called.get("name"), "function": called}, f"{at}.function_call", custom)


def _call(call: Mapping[str, Any], at: str, custom: set[str]) -> Item:
    call_id = _typed(call.get("id") or "", str, f"{at}.id")
    if isinstance(inner := call.get("custom"), dict):
        custom.add(call_id)
        return {"type": "custom_tool_call", "call_id": call_id, "name": inner.get("name"), "input": inner.get("input")}
    inner = _typed(call.get("function") or {}, dict, f"{at}.function")
    arguments = inner.get("arguments") or "{}"
    return {"type": "function_call", "call_id": call_id, "name": inner.get("name"), "arguments": arguments}


def _typed(value: Any, kind: type[Value], at: str) -> Value:
    if not isinstance(value, kind):
        named = "a string" if kind is str else "an object"
        raise RequestInvalid(f"'{at}' must be {named}.", param=at, code="invalid_type")
    return value


def _reasoning(details: Any) -> Iterator[Item]:
    """Only what OpenAI encrypted: with `store: false` it knows no item by its id alone."""
    items: dict[str | None, Item] = {}
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict) or detail.get("format") != OPENAI:
            continue
        own_id = detail["id"] if isinstance(detail.get("id"), str) else None
        item = items.setdefault(own_id, {"type": "reasoning", "summary": []} | ({"id": own_id} if own_id else {}))
        if detail.get("type") == "reasoning.encrypted":
            item["encrypted_content"] = detail.get("data")
        elif isinstance(text := detail.get("summary"), str):
            item["summary"].append({"type": "summary_text", "text": text})
    yield from (item for item in items.values() if item.get("encrypted_content"))


def _content(content: Any, at: str, text: str) -> Any:
    """Parts as this wire has them; `text` is the type of a text here."""
    if not isinstance(content, list):
        return content or ""
    return [_part(part, f"{at}.content[{place}]", text) for place, part in enumerate(content)]


def _part(part: Any, at: str, text: str) -> Item:
    match part:
        case {"type": "text", "text": str() as words}:
            return {"type": text, "text": words}
        case {"type": "refusal", "refusal": str() as words}:
            return {"type": "refusal", "refusal": words}
        case {"type": "image_url", "image_url": {"url": str() as url, **more}}:
            return {"type": "input_image", "image_url": url, "detail": more.get("detail") or "auto"}
        case {"type": "file", "file": dict() as file}:
            names = ("file_data", "file_url", "filename")
            return {"type": "input_file"} | {name: file[name] for name in names if file.get(name) is not None}
    raise RequestInvalid(f"'{at}' is not a part that this model takes here.", param=at)

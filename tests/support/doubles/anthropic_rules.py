"""What Anthropic's API refuses, as far as an adapter may get it wrong. Each rule gives the message of a 400."""

from collections.abc import Iterator, Mapping
from typing import Any

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBkb3VibGU="
REDACTED = "c2VjcmV0IHRob3VnaHQ="
_FIELDS = {"model", "messages", "max_tokens", "system", "stop_sequences", "stream", "temperature", "top_p", "top_k"}
_FIELDS |= {"tools", "tool_choice", "thinking", "output_config", "metadata", "service_tier", "cache_control"}
_BLOCKS = {
    "text": {"text", "citations"},
    "image": {"source"},
    "document": {"source", "title", "context", "citations"},
    "tool_use": {"id", "name", "input"},
    "tool_result": {"tool_use_id", "content", "is_error"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "server_tool_use": {"id", "name", "input"},
    "web_search_tool_result": {"tool_use_id", "content"},
}
_THOUGHTS = ("thinking", "redacted_thinking")
MAX_MARKS = 4


def fault(body: Mapping[str, Any]) -> str | None:
    """Return the message of the first rule that the request breaks."""
    return next((message for rule in (_fields, _tools, _messages, _thinking, _marks) for message in rule(body)), None)


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    for name in body:
        if name not in _FIELDS:
            yield f"{name}: Extra inputs are not permitted"
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            yield f"{name}: Field required"
    if "temperature" in body and "top_p" in body:
        yield "`temperature` and `top_p` cannot both be specified for this model. Please use only one."


_OF_A_SEARCH = {"type", "name", "max_uses", "allowed_domains", "blocked_domains", "user_location", "cache_control"}


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice: may only be specified while providing tools"
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") == "web_search_20250305":
            if tool.keys() - _OF_A_SEARCH or tool.get("name") != "web_search" or tool.get("max_uses", 1) < 1:
                yield f"tools.{index}.web_search_20250305: Extra inputs are not permitted"
        elif tool.get("input_schema", {}).get("type") != "object":
            yield f"tools.{index}.custom.input_schema.type: Field required"


def _messages(body: Mapping[str, Any]) -> Iterator[str]:
    messages = body["messages"]
    if not messages:
        yield "messages: at least one message is required"
    for at, message in enumerate(messages):
        if set(message) != {"role", "content"}:
            yield f"messages.{at}: Extra inputs are not permitted"
        blocks = message["content"]
        for place, block in enumerate([] if isinstance(blocks, str) else blocks):
            yield from _block(block, f"messages.{at}.content.{place}")
        yield from _results(messages, at)
    last = messages[-1]
    if last["role"] == "assistant" and _text_of(last).endswith((" ", "\n")):
        yield "messages: final assistant content cannot end with trailing whitespace"


def _block(block: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = block.get("type")
    if kind not in _BLOCKS:
        yield f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        return
    for name in block.keys() - _BLOCKS[kind] - {"type", "cache_control"}:
        yield f"{where}.{kind}.{name}: Extra inputs are not permitted"
    if kind == "text" and not block["text"].strip():
        yield f"{where}.text: text content blocks must contain non-whitespace text"
    if kind == "thinking" and block.get("signature") != SIGNATURE:
        yield f"{where}: Invalid `signature` in `thinking` block"
    if kind == "redacted_thinking" and block.get("data") != REDACTED:
        yield f"{where}: Invalid `data` in `redacted_thinking` block"
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        yield f"{where}.tool_use.input: Input should be a valid dictionary"


def _results(messages: list[Any], at: int) -> Iterator[str]:
    """Results stand at the front of the turn after their calls, and each call has one."""
    blocks = messages[at]["content"]
    kinds = [] if isinstance(blocks, str) else [block["type"] for block in blocks]
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"] if kinds else []
    if kinds[: len(results)] != ["tool_result"] * len(results):
        yield f"messages.{at}: tool_result blocks must come first"
    before = messages[at - 1]["content"] if at else ""
    called = [block["id"] for block in before if block["type"] == "tool_use"] if isinstance(before, list) else []
    if sorted(called) != sorted(results):
        yield f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after"


def _thinking(body: Mapping[str, Any]) -> Iterator[str]:
    thinking = body.get("thinking") or {}
    for at, message in enumerate(body["messages"]):
        kinds = [block["type"] for block in message["content"]] if isinstance(message["content"], list) else []
        first = next((place for place, kind in enumerate(kinds) if kind not in _THOUGHTS), len(kinds))
        if any(kind in _THOUGHTS for kind in kinds[first:]):
            yield f"messages.{at}: thinking blocks must come first"
        in_a_turn = at == len(body["messages"]) - 2 and "tool_use" in kinds
        if thinking.get("type") == "enabled" and in_a_turn and kinds[0] not in _THOUGHTS:
            yield f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`."
    if thinking.get("type") != "enabled":
        return
    if not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "max_tokens: must be greater than `thinking.budget_tokens`"
    if body.get("temperature", 1) != 1 or "top_k" in body:
        yield "`temperature` may only be set to 1 when thinking is enabled."
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _marks(body: Mapping[str, Any]) -> Iterator[str]:
    if _count_marks(body) > MAX_MARKS:
        yield f"A maximum of {MAX_MARKS} blocks with cache_control may be provided."


def _count_marks(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_count_marks, value))
    if isinstance(value, dict):
        return sum(name == "cache_control" or _count_marks(inner) for name, inner in value.items())
    return 0


def _text_of(message: Mapping[str, Any]) -> str:
    blocks = message["content"]
    return blocks if isinstance(blocks, str) else str(blocks[-1].get("text", ""))

"""Reads the `input` of OpenAI's Responses into the messages of OpenAI's chat.

Items of one turn become one assistant message. What only OpenAI itself understands stays in the native request.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from api.wire import openai_responses_reasoning, openai_responses_tools
from domain.errors import RequestInvalid

_ROLES = ("user", "system", "developer", "assistant")
_CLIENT_TOOLS = {"local_shell_call": "action", "shell_call": "action", "apply_patch_call": "operation"}
"""Calls that a client carries out, and what each asks for: to another provider they are calls of a function."""
_SERVER_CALLS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "computer_call"}
    | {"mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response", "tool_search_call"}
    | {"tool_search_output", "compaction_trigger", "computer_call_output", "program", "program_output"}
)
"""Steps of OpenAI's own tools. What came of them is in the messages after them."""
_NO_STORE = "This server stores no responses: send the items themselves."


class Conversation:
    """The messages that the items make, in order."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.places: dict[str, str] = {"messages": "input"}
        """The client's names of parts of the messages."""
        self.untranslated: dict[str, Any] = {}
        """Items that only OpenAI understands, by the client's names."""
        self.compacted: list[str] = []
        """The names of those that stand for a conversation: without them a request makes no sense."""
        self._turn: dict[str, Any] | None = None
        """The assistant's message that the next item may belong to."""
        self._attached: list[tuple[dict[str, Any], str]] = []
        """Images and files that tools gave. In OpenAI's chat only a user's message has them: it follows the tools'."""

    def instruct(self, text: str) -> None:
        self._add({"role": "system", "content": text}, "instructions", "")

    def ask(self, text: str) -> None:
        self._add({"role": "user", "content": text}, "input", "")

    def item(self, item: Any, at: str) -> None:
        """Add one item of the input. Raises `RequestInvalid` that names what is wrong with it."""
        if not isinstance(item, dict):
            raise _wrong_type(at, "an object")
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind is None:
            raise RequestInvalid(f"'{at}.type' is required.", param=f"{at}.type", code="missing_required_parameter")
        if not isinstance(kind, str):
            raise _wrong_type(f"{at}.type", "a string")
        if kind == "item_reference":
            raise RequestInvalid(f"'{at}' is a reference. {_NO_STORE}", param=at, code="unsupported_parameter")
        if kind in _SERVER_CALLS or kind == "compaction":
            self.untranslated[at] = item
            self.compacted += [at] if kind == "compaction" else []
            return
        read = _READERS.get(kind)
        if read is None:
            raise RequestInvalid(f"'{at}.type' is not the type of an item that is known here.", param=f"{at}.type")
        if read is not _read_output:
            self._attach()
        read(self, item, at)

    def end(self) -> None:
        self._attach()
        self._close_turn()

    def _add(self, message: dict[str, Any], at: str, content: str = ".content") -> None:
        self._close_turn()
        name = f"messages[{len(self.messages)}]"
        self.places[name] = at
        self.places[f"{name}.content"] = at + content
        self.messages.append(message)

    def add_message(self, role: str, content: Any, at: str) -> None:
        if role != "assistant":
            self._add({"role": role, "content": content}, at)
            return
        turn = self._turn
        if turn is None or turn["content"] is not None or "tool_calls" in turn:
            turn = self._new_turn(at)
        turn["content"] = content
        self.places[f"messages[{len(self.messages) - 1}].content"] = f"{at}.content"

    def add_call(self, call_id: str, name: str, arguments: str, at: str) -> None:
        turn = self._turn or self._new_turn(at)
        calls = turn.setdefault("tool_calls", [])
        self.places[f"messages[{len(self.messages) - 1}].tool_calls[{len(calls)}]"] = at
        calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})

    def add_output(self, call_id: str, parts: list[dict[str, Any]], at: str) -> None:
        texts = [part["text"] for part in parts if part["type"] == "text"]
        self._add({"role": "tool", "tool_call_id": call_id, "content": "\n".join(texts)}, at, ".output")
        names = [f"{at}.output[{place}]" for place in range(len(parts))]
        self._attached += [pair for pair in zip(parts, names, strict=True) if pair[0]["type"] != "text"]

    def add_reasoning(self, details: list[dict[str, Any]], text: str, at: str) -> None:
        turn = self._turn
        if turn is None or turn["content"] is not None or "tool_calls" in turn:
            turn = self._new_turn(at)
        if details:
            turn.setdefault("reasoning_details", []).extend(details)
        if text:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + text

    def _new_turn(self, at: str) -> dict[str, Any]:
        turn: dict[str, Any] = {"role": "assistant", "content": None}
        self._add(turn, at)
        self._turn = turn
        return turn

    def _close_turn(self) -> None:
        """Leave out a turn that has nothing but reasoning: no provider takes it."""
        turn, self._turn = self._turn, None
        if turn is not None and turn["content"] is None and "tool_calls" not in turn:
            self.messages.pop()

    def _attach(self) -> None:
        attached, self._attached = self._attached, []
        if not attached:
            return
        parts = [{"type": "text", "text": "What the tools returned:"}, *(part for part, _ in attached)]
        self._add({"role": "user", "content": parts}, attached[0][1])
        name = f"messages[{len(self.messages) - 1}].content"
        self.places |= {f"{name}[{place}]": at for place, (_, at) in enumerate(attached, 1)}


def _read_message(conversation: Conversation, item: Mapping[str, Any], at: str) -> None:
    role = item.get("role")
    if role not in _ROLES:
        raise RequestInvalid(f"'{at}.role' must be one of {', '.join(_ROLES)}.", param=f"{at}.role")
    content = item.get("content")
    if content is None:
        raise _missing(f"{at}.content")
    if isinstance(content, str):
        conversation.add_message(role, content, at)
        return
    parts = _parts(content, f"{at}.content")
    if all(part.keys() == {"type", "text"} for part in parts) and (len(parts) == 1 or role == "assistant"):
        conversation.add_message(role, "".join(part["text"] for part in parts), at)
    else:
        conversation.add_message(role, parts, at)


def _read_function_call(conversation: Conversation, item: Mapping[str, Any], at: str) -> None:
    arguments = _text(item, "arguments", at)
    conversation.add_call(_text(item, "call_id", at), _called(item, at), arguments, at)


def _read_custom_call(conversation: Conversation, item: Mapping[str, Any], at: str) -> None:
    arguments = json.dumps({"input": _text(item, "input", at)}, ensure_ascii=False)
    conversation.add_call(_text(item, "call_id", at), _called(item, at), arguments, at)


def _read_client_call(conversation: Conversation, item: Mapping[str, Any], at: str) -> None:
    kind = item["type"]
    arguments = json.dumps(item.get(_CLIENT_TOOLS[kind]), ensure_ascii=False)
    conversation.add_call(_text(item, "call_id", at), kind.removesuffix("_call"), arguments, at)


def _read_output(conversation: Conversation, item: Mapping[str, Any], at: str) -> None:
    output, call_id = item.get("output"), item.get("call_id")
    call_id = _text(item, "id" if call_id is None and item["type"] == "local_shell_call_output" else "call_id", at)
    if item["type"] in ("shell_call_output", "apply_patch_call_output"):
        output = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    if output is None:
        raise _missing(f"{at}.output")
    parts = [{"type": "text", "text": output}] if isinstance(output, str) else _parts(output, f"{at}.output")
    conversation.add_output(call_id, parts, at)


def _read_reasoning(conversation: Conversation, item: Mapping[str, Any], at: str) -> None:
    for name in ("summary", "content"):
        value = item.get(name)
        if value is not None and not isinstance(value, list):
            raise _wrong_type(f"{at}.{name}", "an array")
    if not isinstance(item.get("encrypted_content"), str | None):
        raise _wrong_type(f"{at}.encrypted_content", "a string")
    details, text = openai_responses_reasoning.details_of(item), openai_responses_reasoning.text_of(item)
    if details or text:
        conversation.add_reasoning(details, text, at)


_READERS: Mapping[str, Callable[[Conversation, Mapping[str, Any], str], None]] = {
    "message": _read_message,
    "function_call": _read_function_call,
    "custom_tool_call": _read_custom_call,
    **dict.fromkeys(_CLIENT_TOOLS, _read_client_call),
    "function_call_output": _read_output,
    "custom_tool_call_output": _read_output,
    **dict.fromkeys([f"{kind}_output" for kind in _CLIENT_TOOLS], _read_output),
    "reasoning": _read_reasoning,
}


def _parts(content: Any, at: str) -> list[dict[str, Any]]:
    if not isinstance(content, list):
        raise _wrong_type(at, "a string or an array")
    return [_part(part, f"{at}[{place}]") for place, part in enumerate(content)]


def _part(part: Any, at: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise _wrong_type(at, "an object")
    cached = {"cache_control": part["cache_control"]} if "cache_control" in part else {}
    match part.get("type"):
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            return {"type": "text", "text": _text(part, "text", at), **cached}
        case "refusal":
            return {"type": "refusal", "refusal": _text(part, "refusal", at)}
        case "input_image":
            return {"type": "image_url", "image_url": _image(part, at), **cached}
        case "input_file":
            return {"type": "file", "file": _file(part, at), **cached}
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        case None:
            raise _missing(f"{at}.type")
    raise RequestInvalid(
        f"'{at}.type' must be input_text, input_image, input_file, output_text or refusal.", param=f"{at}.type"
    )


def _image(part: Mapping[str, Any], at: str) -> dict[str, Any]:
    _require_no_id(part, at)
    image = {"url": _text(part, "image_url", at)}
    return image if part.get("detail") is None else {**image, "detail": _text(part, "detail", at)}


def _file(part: Mapping[str, Any], at: str) -> dict[str, Any]:
    _require_no_id(part, at)
    names = [name for name in ("filename", "file_data", "file_url") if part.get(name) is not None]
    if names in ([], ["filename"]):
        raise _missing(f"{at}.file_data")
    return {name: _text(part, name, at) for name in names}


def _require_no_id(part: Mapping[str, Any], at: str) -> None:
    """Refuse the id of a file: files at a provider are those of all callers of this server."""
    if part.get("file_id") is not None:
        name = f"{at}.file_id"
        raise RequestInvalid(
            f"'{name}' is not taken: this server stores no files. Send the data or a URL.",
            param=name,
            code="unsupported_parameter",
        )


def _called(item: Mapping[str, Any], at: str) -> str:
    name = _text(item, "name", at)
    if not name:
        raise RequestInvalid(f"'{at}.name' must not be empty.", param=f"{at}.name")
    return openai_responses_tools.function_name(name, item.get("namespace"))


def _text(value: Mapping[str, Any], name: str, at: str) -> str:
    text = value.get(name)
    if text is None:
        raise _missing(f"{at}.{name}")
    if not isinstance(text, str):
        raise _wrong_type(f"{at}.{name}", "a string")
    return text


def _missing(name: str) -> RequestInvalid:
    return RequestInvalid(f"'{name}' is required.", param=name, code="missing_required_parameter")


def _wrong_type(name: str, wanted: str) -> RequestInvalid:
    return RequestInvalid(f"'{name}' must be {wanted}.", param=name, code="invalid_type")

"""Translates messages into `systemInstruction` and `contents`: two roles, neighbours of the same role merged."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from domain.errors import RequestInvalid
from providers.gemini import media, models, signatures

_SYSTEM = ("system", "developer")
Part = dict[str, Any]


def fields(messages: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    """Return the two fields. Raises `RequestInvalid` that names what Gemini has no form for."""
    conversation = _Conversation(models.generation(model) >= models.THREE)
    for index, message in enumerate(messages):
        conversation.add(message, f"messages[{index}]")
    if not conversation.contents:  # Gemini wants a turn of the user
        return {"contents": [{"role": "user", "parts": conversation.system or [{"text": ""}]}]}
    result: dict[str, Any] = {"contents": conversation.contents}
    if conversation.system:
        result["systemInstruction"] = {"parts": conversation.system}
    return result


class _Conversation:
    def __init__(self, since_three: bool) -> None:
        self.system: list[Part] = []
        self.contents: list[dict[str, Any]] = []
        self._since_three = since_three
        self._functions: dict[str, str] = {}
        """The function that a tool call names, by the call's id."""

    def add(self, message: Mapping[str, Any], where: str) -> None:
        role = message.get("role")
        if role in _SYSTEM:
            self.system += _parts(message.get("content"), f"{where}.content", text_only=True)
        elif role == "assistant":
            self._turn("model", self._answer(message, where))
        elif role in ("tool", "function"):
            self._turn("user", [self._result(message, where)])
        else:
            self._turn("user", _parts(message.get("content"), f"{where}.content") or [{"text": ""}])

    def _turn(self, role: str, parts: list[Part]) -> None:
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _answer(self, message: Mapping[str, Any], where: str) -> list[Part]:
        signed = signatures.of_message(message)
        parts = _parts(message.get("content"), f"{where}.content", text_only=True)
        if signature := signed.get(None):
            parts = parts or [{"text": ""}]
            parts[-1]["thoughtSignature"] = signature
        calls = [self._call(call, signed, at) for call, at in _calls(message, where)]
        if calls and self._since_three:
            calls[0].setdefault("thoughtSignature", signatures.UNSIGNED)
        return parts + calls

    def _call(self, call: Mapping[str, Any], signed: Mapping[str | None, str], where: str) -> Part:
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str):
            raise _invalid(f"{where}.function", "must be an object with a name")
        written: dict[str, Any] = {"name": name, "args": _arguments(function, f"{where}.function.arguments")}
        if isinstance(call_id := call.get("id"), str) and call_id:
            self._functions[call_id] = name
            written["id"] = call_id
        part: Part = {"functionCall": written}
        if signature := signatures.of_call(call, signed):
            part["thoughtSignature"] = signature
        return part

    def _result(self, message: Mapping[str, Any], where: str) -> Part:
        call_id = message.get("tool_call_id")
        name = self._functions.get(call_id) if isinstance(call_id, str) else None
        name = name or message.get("name")
        if not isinstance(name, str) or not name:
            raise _invalid(f"{where}.tool_call_id", "must be the id of a tool call of an earlier message")
        parts = _parts(message.get("content"), f"{where}.content", text_only=not self._since_three)
        text = "".join(part["text"] for part in parts if "text" in part)
        result: dict[str, Any] = {"name": name, "response": {"output": text}}
        if isinstance(call_id, str) and call_id in self._functions:
            result["id"] = call_id
        if attached := [part for part in parts if "text" not in part]:
            result["parts"] = attached
        return {"functionResponse": result}


def _parts(content: Any, where: str, *, text_only: bool = False) -> list[Part]:
    """Return the parts of a message's content. An empty text is no part: Gemini refuses one."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    parts = []
    for index, each in enumerate(content):
        at = f"{where}[{index}]"
        part = media.part(each, at)
        if text_only and "text" not in part:
            raise _invalid(at, "must be a text part in a message of this role")
        if part.get("text") != "":
            parts.append(part)
    return parts


def _calls(message: Mapping[str, Any], where: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for index, call in enumerate(message.get("tool_calls") or ()):
        at = f"{where}.tool_calls[{index}]"
        if call.get("type", "function") != "function":
            raise _invalid(f"{at}.type", "must be function: the provider of this model has no other tools")
        yield call, at
    if isinstance(call := message.get("function_call"), dict):
        yield {"function": call}, f"{where}.function_call"


def _arguments(function: Mapping[str, Any], where: str) -> dict[str, Any]:
    given = function.get("arguments")
    if isinstance(given, str):
        try:
            given = orjson.loads(given) if given.strip() else {}
        except orjson.JSONDecodeError:
            given = None
    if not isinstance(given, dict):
        raise _invalid(where, "must be a JSON object as a string")
    return given


def _invalid(where: str, why: str) -> RequestInvalid:
    return RequestInvalid(f"'{where}' {why}.", param=where)

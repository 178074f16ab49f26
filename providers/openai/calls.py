"""Completes tool calls: consecutive indexes, one id and one name each, arguments as text."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from domain.errors import UpstreamError
from providers.upstream_json import integer, repaired

MAX_INDEX = 1024
"""The bound on the index of a choice or of a tool call."""
_BARE = ("name", "arguments", "input")
"""Fields of a function that some providers put beside `function` instead of inside it."""
_COMPLETED = frozenset({"index", "id", "type", "function", "custom", *_BARE})


class ToolCalls:
    """The tool calls of one choice, completed in the order in which they come.

    `seed` makes the ids that a provider leaves out. They are unique in a conversation.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._position: dict[int | str, int] = {}
        """The position of a call, by the provider's index and by its id."""
        self._ids: list[str] = []
        """The provider's ids, empty where it gave none."""
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._ids)

    def complete(self, call: object) -> dict[str, Any]:
        """Complete one element of a delta's `tool_calls`. Raises `UpstreamError` for a malformed one.

        The first element of a call gets all fields, later ones have the index and the new text.
        """
        if not isinstance(call, dict):
            raise UpstreamError
        kind = "custom" if call.get("type") == "custom" or isinstance(call.get("custom"), dict) else "function"
        given = call.get(kind)
        given = given if isinstance(given, dict) else {name: call[name] for name in _BARE if name in call}
        name = given.get("name")
        name = name if isinstance(name, str) else ""
        position = self._locate(call, name, given)
        field = "input" if kind == "custom" else "arguments"
        inner = {**given, **({"name": name} if "name" in given else {}), field: _as_text(given.get(field))}
        beside = {key: value for key, value in call.items() if key not in _COMPLETED and value is not None}
        if position == len(self._ids):
            return self._first(call, kind, {"name": name, **inner}, beside)
        known = self._names[position]
        if not name or name == known:
            inner.pop("name", None)
        self._names[position] = known or name
        return {"index": position, kind: inner, **beside}

    def _first(self, call: dict[str, Any], kind: str, inner: dict[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
        position = len(self._ids)
        if position >= MAX_INDEX:
            raise UpstreamError
        name = inner["name"] = inner["name"] or ""
        own = _id(call)
        self._ids.append(own)
        self._names.append(name)
        index = _index(call)
        if index is not None:
            self._position[index] = position
        if own:
            self._position.setdefault(own, position)
        shown = own if own and not own.isdigit() else self._mint(position, name)
        return {"index": position, "id": shown, "type": kind, kind: inner, **beside}

    def _locate(self, call: Mapping[str, Any], name: str, given: Mapping[str, Any]) -> int:
        """Return the position of the call that the element belongs to, or the number of known calls for a new one."""
        index, own = _index(call), _id(call)
        if index is not None:
            position = self._position.get(index, len(self._ids))
            if position < len(self._ids) and self._is_another(position, own, name, given):
                return len(self._ids)
            return position
        if own:
            return self._position.get(own, len(self._ids))
        return len(self._ids) if name or not self._ids else len(self._ids) - 1

    def _is_another(self, position: int, own: str, name: str, given: Mapping[str, Any]) -> bool:
        """Tell whether this is another call under a used index, as some providers give all parallel calls the same.

        Then it has another id, a name, and arguments that begin anew.
        """
        begins = _as_text(given.get("arguments")).startswith("{")
        return bool(own and self._ids[position] and own != self._ids[position] and name and begins)

    def _mint(self, position: int, name: str) -> str:
        return "call_" + hashlib.sha256(f"{self._seed}:{position}:{name}".encode("utf-8", "replace")).hexdigest()[:24]


def _id(call: Mapping[str, Any]) -> str:
    own = call.get("id")
    return own if isinstance(own, str) else ""


def _index(call: Mapping[str, Any]) -> int | None:
    given = call.get("index")
    index = integer(given)
    if (index is None and given is not None) or not 0 <= (index or 0) < MAX_INDEX:
        raise UpstreamError
    return index


def _as_text(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else orjson.dumps(repaired(arguments)).decode()

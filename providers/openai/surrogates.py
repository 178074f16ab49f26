"""Joins characters that a provider cut in two: half a surrogate pair in one event, the other half in the next."""

from typing import Any

from domain.errors import UpstreamError
from providers.upstream_json import repaired_text

MAX_PENDING = 256
_HIGH = range(0xD800, 0xDC00)
_Place = tuple[int | str, ...]


class Halves:
    """First halves of pairs, by choice and field. A half without its second one becomes U+FFFD."""

    def __init__(self) -> None:
        self.pending: dict[_Place, str] = {}

    def joined(self, choice: int, delta: dict[str, Any]) -> dict[str, Any]:
        joined: dict[str, Any] = self._walk((choice,), delta)
        return joined

    def flush(self, choice: int, delta: dict[str, Any]) -> dict[str, Any]:
        """Add what still waits for this choice to its last delta."""
        for place in [place for place in self.pending if place[0] == choice]:
            del self.pending[place]
            if len(place) == 2:
                delta = {**delta, str(place[1]): (delta.get(str(place[1])) or "") + "\ufffd"}
        return delta

    def _walk(self, place: _Place, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(place, value)
        if isinstance(value, list):
            return [self._walk((*place, _position(each, n)), each) for n, each in enumerate(value)]
        if isinstance(value, dict):
            return {repaired_text(name): self._walk((*place, name), each) for name, each in value.items()}
        return value

    def _text(self, place: _Place, value: str) -> str:
        if not value:
            return value
        value = self.pending.pop(place, "") + value
        if ord(value[-1]) in _HIGH:
            if len(self.pending) >= MAX_PENDING:
                raise UpstreamError
            self.pending[place] = value[-1]
            value = value[:-1]
        return repaired_text(value)


def _position(element: Any, position: int) -> int:
    """Return the index of a tool call, else its position in the list."""
    index = element.get("index") if isinstance(element, dict) else None
    return index if type(index) is int else position

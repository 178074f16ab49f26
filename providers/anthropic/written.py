"""The content blocks that a stream has written so far, put together: what a paused answer is continued with."""

from collections.abc import Mapping
from typing import Any

from providers import upstream_json

_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_INPUT = "partial_json"


class Written:
    """The blocks in the order in which they began, each as the vendor writes it in a whole answer."""

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._open: dict[object, dict[str, Any]] = {}
        self._texts: dict[object, dict[str, list[str]]] = {}
        """The parts of the open blocks' texts, by the names of their fields."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take any event of a stream."""
        match event.get("type"):
            case "content_block_start":
                self.start(event)
            case "content_block_delta":
                self._delta(event)
            case "content_block_stop":
                self._close(event.get("index"))

    def start(self, event: Mapping[str, Any]) -> None:
        index, block = event.get("index"), event.get("content_block")
        self._close(index)
        if isinstance(block, Mapping):
            self._open[index] = whole = dict(block)
            self._texts[index] = {}
            self._blocks.append(whole)

    def _delta(self, event: Mapping[str, Any]) -> None:
        index, delta = event.get("index"), event.get("delta")
        block = self._open.get(index)
        if block is None or not isinstance(delta, Mapping):
            return
        name = _TEXTS.get(str(delta.get("type")), "")
        if isinstance(text := delta.get(name), str):
            self._texts[index].setdefault(name, []).append(text)
        elif delta.get("type") == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]

    def blocks(self) -> tuple[dict[str, Any], ...]:
        for index in tuple(self._open):
            self._close(index)
        return tuple(self._blocks)

    def _close(self, index: object) -> None:
        block = self._open.pop(index, None)
        for name, parts in self._texts.pop(index, {}).items():
            if block is None or not (text := "".join(parts)):
                continue
            if name == _INPUT:
                block["input"] = upstream_json.read_whole(text.encode("utf-8", "replace"))
            else:
                block[name] = f"{block.get(name) or ''}{text}"

"""Blocks one after another, though a provider writes several calls of tools at once."""

import json
import time
from typing import Any

import pytest

from api.wire.anthropic_messages_blocks import Blocks


def written(*pieces: tuple[int, str]) -> tuple[list[str], list[str]]:
    """Send pieces of two tools' arguments. Return what was written of each tool, and the order of all events."""
    order: list[str] = []
    texts = ["", ""]

    def event(kind: str, index: int, **fields: Any) -> bytes:
        order.append(f"{kind.removeprefix('content_block_')} {index}")
        texts[index] += fields.get("delta", {}).get("partial_json", "")
        return b""

    blocks = Blocks(event, thinks=False)
    for place in (0, 1):
        blocks.add({"tool_calls": [{"index": place, "id": f"c{place}", "function": {"name": "f"}}]})
    for place, text in pieces:
        blocks.add({"tool_calls": [{"index": place, "function": {"arguments": text}}]})
    blocks.end()
    return texts, order


@pytest.mark.parametrize(
    ("text", "ends_early"),
    [
        ('{"a": "}", "b": [1, {"c": "\\"}"}]}', True),
        ('{"a": "\\\\"}', True),
        ("{}", True),
        ("{]", False),
        ("f{x}", False),
        ("no JSON", False),
    ],
)
def test_a_tool_ends_when_its_arguments_are_json(text: str, ends_early: bool) -> None:
    texts, order = written(*((0, each) for each in text), (1, '{"z": 1}'))
    assert texts == [text, '{"z": 1}']
    assert [each for each in order if not each.startswith("delta")] == ["start 0", "stop 0", "start 1", "stop 1"]
    pieces = written(*((0, each) for each in text))[1]
    assert (pieces[-4:] == ["delta 0", "stop 0", "start 1", "stop 1"]) or not ends_early


def test_long_arguments_are_looked_through_once() -> None:
    text = json.dumps({"text": "{}" * 150_000})
    began = time.process_time()
    texts, _ = written((1, "{"), *((0, text[at : at + 8]) for at in range(0, len(text), 8)), (1, "}"))
    assert time.process_time() - began < 5
    assert texts == [text, "{}"]

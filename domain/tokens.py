"""How many tokens a chat request has: the plain count, and a bound that other vendors' tokenizers do not exceed.

The count of one text is handed in (`CountText`); what is added per message, tool and image is vendors' published
overhead.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain import json_text, token_bounds
from domain.records import record
from domain.token_bounds import Family

CountText = Callable[[str], int]

PER_MESSAGE = 3
PER_ROLE = 1
"""Every role's name is one token."""
PER_NAME = 1
REPLY_PRIMER = 3
PER_INPUT = 2
"""Tokens that some embedding models put around each input."""
PER_TOOL = 8
ANY_TOOL = 12
SEARCHED = 100_000
"""What a provider's own web searches may add to the input. It is an allowance: ten long results."""
OWN_TOOL = 2000
"""The most that a vendor says to its model about a tool of its own, whose name is all that a request has of it."""
PER_IMAGE = 1500
PER_FILE = 5000
MAX_TOKEN_CHARACTERS = 128
"""Of the longest entry in the tokenizer's table; a test looks."""
PIECE = 10_000
"""Characters that are counted at once: what a tokenizer does with one word grows faster than the word."""
LONG_TEXT = 200_000
"""Above this many characters of output the head is counted and the rest is scaled."""
_ATTACHED = ("image_url", "input_audio", "file", "video_url")
_WRITTEN = ("text", "refusal", "input_text", "output_text", "thinking", "reasoning", "tool_use")
"""Parts whose text is all there is to them. Of any other, what it brings along cannot be seen from here."""
_PLAIN = frozenset({"role", "content"})
_NOTHING: Mapping[str, Any] = {}
_OF_THE_PROMPT = ("response_format", "prediction")
_NO_PROMPT = frozenset(
    {"model", "messages", "tools", "functions", "stop", "logit_bias", "metadata", "user", "stream_options", "store"}
    | {"tool_choice", "function_call", "reasoning_effort", "service_tier", *_OF_THE_PROMPT}
)


@record
class InputTokens:
    count: int
    """The estimate, billed when the provider reports no usage."""
    bound: int
    """The upper bound, which a hold pays for."""
    least: int = 0
    """What no vendor counts fewer than: text alone, without the error of our count. Of several inputs, the longest."""
    longest: int | None = None
    """The count of the longest of several inputs. None: there is one."""


def of_request(
    body: Mapping[str, Any], count: CountText, *, family: str, beside: Mapping[str, Any] = _NOTHING
) -> InputTokens:
    """`family` is the vendor that a model's id begins with: how its tokenizer compares to ours.

    `beside` has fields that a provider of the client's own wire may be sent in addition.
    """
    counter = _TokenCount(count, token_bounds.family(family))
    counter.add(REPLY_PRIMER)
    for message in body.get("messages") or ():
        counter.message(message)
    tools = [*(body.get("tools") or ()), *(body.get("functions") or ())]
    if tools:
        counter.add(ANY_TOOL, ANY_TOOL + counter.family.tool_prompt)
    for tool in tools:
        counter.tool(tool)
    for name in _OF_THE_PROMPT:
        if name in body:
            counter.written(body[name])
    searched = SEARCHED if body.get("web_search_options") is not None else 0
    counter.add(0, OWN_TOOL * sum(map(_is_tool, beside)) + searched)
    for value in (*(body[name] for name in body.keys() - _NO_PROMPT), *beside.values()):
        if isinstance(value, str | list | Mapping):
            counter.unknown(value)
    return InputTokens(
        counter.count, counter.bound + token_bounds.SLACK, counter.family.least(counter.count - counter.attached)
    )


def of_inputs(inputs: Iterable[str | list[int]], count: CountText) -> list[InputTokens]:
    """Count each input for embeddings. Their models have vocabularies of their own; arrays of tokens are exact."""
    return [_of_input(given, count) for given in inputs]


def _of_input(given: str | list[int], count: CountText) -> InputTokens:
    if not isinstance(given, str):
        return InputTokens(len(given), len(given), len(given))
    counted = _in_pieces(given, count)
    family = token_bounds.EMBEDDING
    return InputTokens(counted, family.text(given, counted) + PER_INPUT, family.least(counted))


def _is_tool(name: str) -> bool:
    """Tell whether it is a whole tool, as Anthropic names one (`tools.1`) or OpenAI (`tools[1]`)."""
    return name.startswith(("tools.", "tools[")) and name.count(".") == name.startswith("tools.")


def text_tokens(text: str, count: CountText) -> int:
    """Count output text. Long text is counted in part and scaled."""
    if len(text) <= LONG_TEXT:
        return _in_pieces(text, count)
    return math.ceil(_in_pieces(text[:LONG_TEXT], count) * len(text) / LONG_TEXT)


@dataclass(slots=True)
class _TokenCount:
    """Of input: all of it, since who writes it could hide what is expensive behind a cheap head."""

    count_text: CountText
    family: Family
    count: int = 0
    bound: int = 0
    attached: int = 0
    """Of `count`: images and files, which may have far fewer."""

    def add(self, count: int, bound: int | None = None) -> None:
        self.count += count
        self.bound += count if bound is None else bound

    def text(self, text: str) -> None:
        count = _in_pieces(text, self.count_text)
        self.count += count
        self.bound += self.family.text(text, count)

    def written(self, value: Any) -> None:
        """Count a value by its text. A vendor may write it into the prompt as JSON: that is held for."""
        self.count += _in_pieces(_flat(value), self.count_text)
        self.unknown(value)

    def unknown(self, value: Any) -> None:
        """A field that is passed on unknown may be a part of the prompt: it is held for, and not billed unseen."""
        self.bound += _json_bound(value, self.count_text, self.family)

    def message(self, message: Mapping[str, Any]) -> None:
        self.count += PER_MESSAGE + PER_ROLE
        self.bound += PER_MESSAGE + PER_ROLE
        content = message.get("content")
        if isinstance(content, str):
            self.text(content)
        else:
            for part in content or ():
                self.part(part)
        if not message.keys() <= _PLAIN:
            rest = {name: value for name, value in message.items() if name not in _PLAIN}
            self.reasoning(rest.pop("reasoning_details", None))
            self.text(_flat(list(rest.values())))
            self.add(PER_NAME if rest.get("name") else 0)

    def reasoning(self, details: Any) -> None:
        """Count what a model thought in an earlier turn. A vendor may leave it out, and signatures are no input."""
        if details:
            text = _flat(details)
            count = _in_pieces(text, self.count_text)
            self.attached += count
            self.add(count, self.family.text(text, count))

    def part(self, part: Any) -> None:
        if not isinstance(part, Mapping):
            self.text(part if isinstance(part, str) else "")
        elif part.get("type") in _ATTACHED:
            count = PER_IMAGE if part["type"] == "image_url" else PER_FILE
            self.attached += count
            self.add(count, self.family.attachment(part))
            file = part.get("file")
            self.unknown(file.get("filename") if isinstance(file, Mapping) else None)
        elif part.get("type") in _WRITTEN:
            self.text(_flat(part))
        else:
            count = _in_pieces(_flat(part), self.count_text)
            self.attached += count
            self.add(count, token_bounds.ANY_LENGTH)

    def tool(self, tool: Any) -> None:
        """Count a tool by its JSON. Some vendors write it with more white space."""
        written = json_text.dumps(tool).decode()
        count = _in_pieces(written, self.count_text)
        self.add(PER_TOOL + count, PER_TOOL + math.ceil(self.family.text(written, count) * 1.2))


def bound_of(value: Any, count: CountText) -> int:
    """Return the most tokens of a field that an embedding model may read before each input."""
    return _json_bound(value, count, token_bounds.EMBEDDING)


def _json_bound(value: Any, count: CountText, family: Family) -> int:
    """Of a text as it is, of anything else as JSON: its brackets are tokens, too."""
    text = value if isinstance(value, str) else json_text.dumps(value).decode()
    return family.text(text, _in_pieces(text, count))


def _in_pieces(text: str, count: CountText) -> int:
    if len(text) <= PIECE:
        return count(text)
    return sum(count(text[at : at + PIECE]) for at in range(0, len(text), PIECE))


def _flat(value: Any) -> str:
    """The text in a JSON value, keys included."""
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_flat(inner) for inner in value)
    return "" if value is None else str(value)


def at_least(body: Mapping[str, Any]) -> int:
    """Tokens that the text of the messages has however it is counted: without counting it."""
    messages = body.get("messages")
    return sum(map(_characters, messages)) // MAX_TOKEN_CHARACTERS if isinstance(messages, list) else 0


def inputs_at_least(inputs: Iterable[str | list[int]]) -> int:
    """The same for the inputs of embeddings."""
    return sum(len(given) // MAX_TOKEN_CHARACTERS if isinstance(given, str) else len(given) for given in inputs)


def _characters(message: Any) -> int:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return len(content)
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return sum(len(text) for text in texts if isinstance(text, str))

"""What every answer on OpenAI's Responses must be: the types of OpenAI's SDK, in strict form, and an order of events.

`problems` reads a stream as a state machine: items begin, their parts begin, grow and end, and the last event has all.
Nothing here knows how this server writes its answers.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pydantic
from openai.types.responses import Response, ResponseStreamEvent

EVENTS: Mapping[str, type[pydantic.BaseModel]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ResponseStreamEvent)[0])
}
BEYOND: Mapping[str, frozenset[str]] = {
    "Response": frozenset({"yout", "store", "presence_penalty", "frequency_penalty"}),
    "ResponseErrorEvent": frozenset({"error"}),
    "ResponseFunctionCallArgumentsDoneEvent": frozenset({"name"}),
    "ResponseCustomToolCall": frozenset({"status"}),
    "ResponseTextDeltaEvent": frozenset({"obfuscation"}),
    "ResponseRefusalDeltaEvent": frozenset({"obfuscation"}),
    "Logprob": frozenset({"bytes"}),
    "LogprobTopLogprob": frozenset({"bytes"}),
}
"""What the SDK has no field for: recorded traffic or its second version has it, or it is the credits of this server."""
PRESENT = frozenset(
    {"id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"}
    | {"instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"}
    | {
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "store",
        "metadata",
    }
    | {"max_output_tokens", "max_tool_calls", "background", "service_tier", "safety_identifier", "prompt_cache_key"}
)
"""Fields of a response that are there even when they are null, as the independent suites demand."""
NEVER_NULL = frozenset(
    {"id", "object", "created_at", "status", "model", "output", "tools", "tool_choice", "truncation", "text", "top_p"}
    | {"parallel_tool_calls", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "store"}
    | {"background", "service_tier"}
)
ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
ITEM_STATUS = ("message", "function_call", "custom_tool_call")


def response_problems(response: Any) -> Iterator[str]:
    """Everything that is wrong with a response."""
    yield from _typed(Response, response)
    if not isinstance(response, dict):
        return
    yield from (f"{name} is missing" for name in PRESENT - response.keys())
    yield from (f"{name} is null" for name in NEVER_NULL if response.get(name, "") is None)
    if response.get("store") is not False:
        yield "store is not false"
    status = response.get("status")
    for name, expected in (("incomplete_details", "incomplete"), ("error", "failed"), ("completed_at", "completed")):
        if (response.get(name) is not None) != (status == expected):
            yield f"{name} does not fit the status {status}"
    if status in ("completed", "incomplete") and response.get("usage") is None:
        yield "usage is missing"
    ids = [item.get("id") for item in response.get("output") or ()]
    if len(set(ids)) < len(ids) or not all(ids):
        yield f"ids of items: {ids}"
    for item in response.get("output") or ():
        yield from _item_problems(item, response)


def _item_problems(item: dict[str, Any], response: Mapping[str, Any]) -> Iterator[str]:
    if status := item.get("status"):
        last = item is response["output"][-1]
        allowed = ("completed", "incomplete") if last and response["status"] != "completed" else ("completed",)
        if status not in allowed:
            yield f"an item is {status} in a response that is {response['status']}"
    elif item.get("type") in ITEM_STATUS:
        yield f"{item['type']} has no status"
    for part in item.get("content") or () if item.get("type") == "message" else ():
        if part["type"] == "output_text" and not (
            isinstance(part.get("annotations"), list) and isinstance(part.get("logprobs"), list)
        ):
            yield "a text has no annotations or no logprobs"


def _typed(kind: type[pydantic.BaseModel], value: Any) -> Iterator[str]:
    """Validate without any conversion, and refuse fields that the SDK does not know."""
    try:
        typed = kind.model_validate_json(json.dumps(value), strict=True)
    except pydantic.ValidationError as error:
        yield from (f"{kind.__name__} {each['loc']}: {each['msg']}" for each in error.errors())
    else:
        yield from _beyond(typed)


def _beyond(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _beyond(each)
    elif isinstance(value, pydantic.BaseModel):
        name = type(value).__name__
        yield from (f"{name} has {extra}" for extra in (value.model_extra or {}).keys() - BEYOND.get(name, frozenset()))
        for _, each in value:
            if each is not None:
                yield from _beyond(each)


class Reader:
    """Reads the events of one stream, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._items: list[dict[str, Any]] = []
        """As their events made them."""
        self._open: dict[int, dict[str, Any]] = {}
        """Items that have begun and not ended, by their places."""
        self._parts: dict[tuple[int, str, int], str] = {}
        """Texts of parts that have begun and not ended."""
        self._made: dict[int, list[str]] = {}
        """The texts of parts that have ended, by the places of their items."""
        self._kinds: list[str] = []
        self._id: Any = None

    def read(self, events: list[dict[str, Any]]) -> list[str]:
        for number, event in enumerate(events):
            self._check(event.get("sequence_number") == number, f"{event.get('type')} is not number {number}")
            kind = EVENTS.get(event["type"])
            self.problems += [f"no event: {event['type']}"] if kind is None else _typed(kind, event)
            self._event(event["type"], event)
            self._kinds.append(event["type"])
        self._check(bool(self._kinds) and self._kinds[-1] in ENDS, f"the last event is {self._kinds[-1:]}")
        self._check(self._kinds[:2] == ["response.created", "response.in_progress"], f"begins with {self._kinds[:2]}")
        return self.problems

    def _check(self, good: bool, problem: str) -> None:
        if not good:
            self.problems.append(problem)

    def _event(self, kind: str, event: dict[str, Any]) -> None:
        self._check(not self._kinds or self._kinds[-1] not in ENDS, f"{kind} after the end")
        if "response" in event:
            self._of_response(kind, event["response"])
            return
        if kind == "error":
            return
        place = event["output_index"]
        match kind.removeprefix("response."):
            case "output_item.added":
                self._check(place == len(self._items), f"item {place} begins after {len(self._items)} items")
                self._items.append(event["item"])
                self._open[place] = event["item"]
                self._check(event["item"].get("status", "in_progress") == "in_progress", "an item begins as ended")
            case "output_item.done":
                self._item_done(place, event["item"])
            case name:
                self._check(event.get("item_id") == self._open.get(place, {}).get("id"), f"{kind} of another item")
                self._grow(name, place, event)

    def _of_response(self, kind: str, response: dict[str, Any]) -> None:
        self.problems += response_problems(response)
        self._id = self._id or response["id"]
        self._check(response["id"] == self._id, "the id of the response changes")
        if kind in ENDS:
            self._check(response["status"] == ENDS[kind], f"{kind} with the status {response['status']}")
            self._check(response["output"] == self._items, "the output is not what the events made")
            self._check(not self._open and not self._parts, f"not ended: {self._open} {self._parts}")
        else:
            self._check((response["status"], response["output"]) == ("in_progress", []), f"{kind} is not a beginning")

    def _item_done(self, place: int, item: dict[str, Any]) -> None:
        begun = self._open.pop(place, None)
        self._check(begun is not None, f"item {place} ends and has not begun")
        if begun is None:
            return
        self._items[place] = item
        same = [name for name in ("id", "type", "call_id", "name", "role") if begun.get(name) != item.get(name)]
        self._check(not same, f"item {place} ends with another {same}")
        grown = begun.get("content") or begun.get("summary") or begun.get("arguments") or begun.get("input")
        ended = [*(item.get("content") or ()), *(item.get("summary") or ())]
        texts = [part.get("text", part.get("refusal")) for part in ended]
        texts += [item[name] for name in ("arguments", "input") if name in item]
        parts = list(self._made.pop(place, []))
        self._check(not grown and sorted(texts) == sorted(parts), f"item {place} has {texts}, its events {parts}")
        self._check(not [key for key in self._parts if key[0] == place], f"item {place} ends before its parts")

    def _grow(self, name: str, place: int, event: dict[str, Any]) -> None:
        kind, _, what = name.rpartition(".")
        index = event.get("content_index", event.get("summary_index", 0))
        key = (place, "summary" if "summary_index" in event else "content", index)
        calls = kind in ("function_call_arguments", "custom_tool_call_input")
        if calls and what == "delta":
            self._parts.setdefault(key, "")
        match what:
            case "added" if kind.endswith("annotation"):
                self._check(key in self._parts, f"{name} outside of a part")
            case "added":
                self._check(key not in self._parts and not (event["part"].get("text")), f"{name} begins twice")
                self._parts[key] = ""
            case "delta":
                self._check(key in self._parts, f"{name} before its part")
                self._parts[key] = self._parts.get(key, "") + str(event["delta"])
            case "done":
                self._end(name, key, event)
                if calls:
                    self._close(key)

    def _end(self, name: str, key: tuple[int, str, int], event: dict[str, Any]) -> None:
        part = event.get("part")
        ended = event if part is None else part
        text = next((ended[field] for field in ("text", "refusal", "arguments", "input") if field in ended), None)
        self._check(text == self._parts.get(key, ""), f"{name} has {text!r}, its deltas {self._parts.get(key)!r}")
        if part is not None:
            self._close(key)

    def _close(self, key: tuple[int, str, int]) -> None:
        self._made.setdefault(key[0], []).append(self._parts.pop(key, ""))


def problems(events: list[dict[str, Any]]) -> list[str]:
    """Everything that is wrong with a stream."""
    return Reader().read(events)

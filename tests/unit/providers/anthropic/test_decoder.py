"""What is made of an answer in Anthropic's words, streamed and whole: the same."""

import json
from typing import Any

import pytest

from providers import assembled
from providers.base import ChatCall, Delta, Report
from tests.support import anthropic_cases as cases
from tests.support.anthropic_cases import begin, delta, end, event, start, stop, text, tool
from tests.support.anthropic_requests import HELLO, adapter

CALL = ChatCall("m", {"messages": HELLO}, 50, stream=True)
WEB = {
    "type": "web_search_result_location",
    "url": "https://x/y",
    "title": "T",
    "cited_text": "z",
    "encrypted_index": "e",
}
PAGE = {"type": "page_location", "cited_text": "z", "document_index": 0, "document_title": "d", "start_page_number": 1}


def message_of(raw: bytes) -> dict[str, Any]:
    decoder = adapter().decoder(CALL)
    choice: dict[str, Any] = assembled.answer([*decoder.feed(raw), *decoder.eof()]).body["choices"][0]
    return {**choice["message"], "finish": choice["finish_reason"]}


def whole(content: list[Any], reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    body = {**cases.MESSAGE, "content": content, "stop_reason": reason, **fields}
    choice: dict[str, Any] = adapter().answer(CALL, json.dumps(body).encode()).body["choices"][0]
    return {**choice["message"], "finish": choice["finish_reason"]}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("of_tomorrow", "stop"),
    ],
)
def test_how_an_answer_ends(reason: str, finish: str) -> None:
    assert message_of(begin() + text(0, "a") + end(reason))["finish"] == finish
    assert whole([{"type": "text", "text": "a"}], reason)["finish"] == finish


def test_a_refusal_is_explained() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    ending = event(
        "message_delta", delta={"stop_reason": "refusal", "stop_details": details}, usage={"output_tokens": 2}
    )
    for message in (
        message_of(begin() + text(0, "a") + ending + event("message_stop")),
        whole([{"type": "text", "text": "a"}], "refusal", stop_details=details),
    ):
        assert (message["finish"], message["refusal"]) == ("content_filter", "No.")


def test_thinking_keeps_its_signature() -> None:
    message = message_of(begin() + cases.THINKING + text(1, "a") + end())
    assert (message["reasoning_content"], message["content"]) == ("hm", "a")
    pieces = message["reasoning_details"]
    assert [(piece["text"], piece.get("signature"), piece["index"]) for piece in pieces] == [
        ("hm", None, 0),
        ("", "sig", 0),
    ]
    hidden = {"type": "reasoning.encrypted", "data": "xyz", "format": "anthropic-claude-v1", "index": 1}
    shown = {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    assert whole(cases.CALLED)["reasoning_details"] == [shown, hidden]


@pytest.mark.parametrize("given", [{"display": "omitted"}, {}])
def test_a_signature_without_a_text(given: dict[str, Any]) -> None:
    raw = (
        start(0, "thinking", thinking="", signature="", **given)
        + delta(0, "signature_delta", signature="sig")
        + stop(0)
    )
    message = message_of(begin() + raw + text(1, "a") + end())
    assert "reasoning_content" not in message
    assert message["reasoning_details"][0]["signature"] == "sig"


def test_calls() -> None:
    raw = text(0, "a") + tool(1, "f", caller={"type": "direct"}) + tool(2, "g", '{"a":', "1}", own="") + end("tool_use")
    first, second = message_of(begin() + raw)["tool_calls"]
    assert first == {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert second["function"] == {"name": "g", "arguments": '{"a":1}'}
    assert second["id"].startswith("toolu_")
    called = whole(cases.CALLED, "tool_use")["tool_calls"]
    assert [call["function"]["arguments"] for call in called] == ["{}", '{"a":1}']


def test_the_older_form_of_tools_is_answered_in_it() -> None:
    older = ChatCall("m", {"messages": HELLO, "functions": [{"name": "f"}]}, 50, stream=True)
    decoder = adapter().decoder(older)
    raw = begin() + tool(0, "f", '{"a":', "1}") + end("tool_use")
    choice = assembled.answer([*decoder.feed(raw), *decoder.eof()]).body["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert (choice["finish_reason"], "tool_calls" in choice["message"]) == ("function_call", False)


def test_a_call_that_begins_with_its_arguments() -> None:
    raw = start(0, "tool_use", id="t", name="f", input={"a": 1}) + stop(0)
    assert message_of(begin() + raw + end("tool_use"))["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


def test_citations_are_annotations_of_the_text_after_them() -> None:
    cited = start(1, "text", text="", citations=[]) + delta(1, "citations_delta", citation=WEB)
    raw = text(0, "One ") + cited + delta(1, "text_delta", text="two.") + stop(1)
    web = {"url": "https://x/y", "title": "T", "start_index": 4, "end_index": 8}
    expected = [{"type": "url_citation", "url_citation": web}]
    assert message_of(begin() + raw + end())["annotations"] == expected
    blocks = [{"type": "text", "text": "One "}, {"type": "text", "text": "two.", "citations": [WEB]}]
    assert whole(blocks)["annotations"] == expected
    within = {name: PAGE[name] for name in PAGE if name != "type"}
    assert whole([{"type": "text", "text": "a", "citations": [PAGE, "x"]}])["annotations"] == [
        {"type": "file_citation", "file_citation": {**within, "start_index": 0, "end_index": 1}}
    ]


@pytest.mark.parametrize(
    ("searching", "results", "searches"),
    [
        (True, [[{"type": "web_search_result"}], [], {"type": "web_search_tool_result_error"}], 2),
        (True, [], 0),
        (False, [[]], None),
    ],
)
def test_the_searches_of_an_answer_that_breaks_off(searching: bool, results: list[Any], searches: int | None) -> None:
    body = {"messages": HELLO, **({"web_search_options": {}} if searching else {})}
    decoder = adapter().decoder(ChatCall("m", body, 50, stream=True))
    raw = [start(n, "web_search_tool_result", tool_use_id="s", content=each) for n, each in enumerate(results)]
    events = decoder.feed(begin() + b"".join(raw) + text(9, "a"))
    assert [each.usage.web_searches for each in events if isinstance(each, Report)][-1] == searches


def test_nothing_is_given_twice_nor_after_the_end() -> None:
    decoder = adapter().decoder(CALL)
    raw = begin() + text(0, "a") + end() + text(1, "b") + end("max_tokens")
    events = [*decoder.feed(raw), *decoder.feed(raw), *decoder.eof()]
    assert "".join(each.text for each in events if isinstance(each, Delta)) == "a"
    assert sum(bool(each.finished) for each in events if isinstance(each, Delta)) == 1

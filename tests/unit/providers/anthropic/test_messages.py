"""OpenAI's messages as Anthropic's turns."""

import base64
from typing import Any

import pytest

from tests.support.anthropic_requests import HELLO, refused, sent, turns

PNG = "data:image/png;base64,AAAA"
PDF = "data:application/pdf;base64,AAAA"
NOTES = "data:text/markdown;charset=utf-8;base64," + base64.b64encode("# é".encode()).decode()
MARK = {"type": "ephemeral"}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": parts[0] if isinstance(parts[0], str) else list(parts)}


def call(own: str = "toolu_1", arguments: Any = '{"a":1}', name: str = "f") -> dict[str, Any]:
    return {"id": own, "type": "function", "function": {"name": name, "arguments": arguments}}


def use(own: str = "toolu_1", given: Any = None, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": own, "name": name, "input": {"a": 1} if given is None else given}


def assistant(content: Any = None, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def result(content: Any, own: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": own, "content": content, **fields}


def part_of(part: dict[str, Any]) -> Any:
    return turns(user(part))[0]["content"][0]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (text("a"), text("a")),
        (text("a", cache_control={"type": "ephemeral", "ttl": "1h"}), text("a", cache_control=MARK | {"ttl": "1h"})),
        (text("a", cache_control={"type": "ephemeral", "ttl": "9y"}), text("a", cache_control=MARK)),
        (
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA\nAA"}, "cache_control": MARK},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"},
                "cache_control": MARK,
            },
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        ),
        (
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": "AAAA", "filename": "a.PDF"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                "title": "a.PDF",
            },
        ),
        (
            {"type": "file", "file": {"file_data": NOTES}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# é"}},
        ),
        (
            {"type": "document_url", "document_url": "https://x/y.pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_data": "https://x/y.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        ),
    ],
)
def test_parts(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert part_of(part) == block


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://x/y"}},
        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,AAAA"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
        {"type": "hologram"},
    ],
)
def test_a_part_that_it_has_no_form_for_is_named(part: dict[str, Any]) -> None:
    assert refused({"messages": [user("Hello"), user(text("a"), part)]}) == "messages[1].content[1]"


def test_roles_alternate_and_what_is_empty_is_left_out() -> None:
    assert turns(user("a"), user(text("b"), text("")), assistant(""), assistant("c"), assistant(" "), user("d")) == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c")]},
        {"role": "user", "content": [text("d")]},
    ]


def test_system_messages() -> None:
    first = {"role": "developer", "content": [text("b", cache_control=MARK)]}
    later = {"role": "system", "content": "c"}
    body = sent({"messages": [{"role": "system", "content": "a"}, first, *HELLO, later]})
    assert body["system"] == [text("a"), text("b", cache_control=MARK)]
    assert body["messages"] == [{"role": "user", "content": [text("Hello"), text("c")]}]
    only = sent({"messages": [{"role": "system", "content": "a"}]})
    assert (only["messages"], "system" in only) == ([{"role": "user", "content": [text("a")]}], False)


def test_tools_and_their_results() -> None:
    image = {"type": "image_url", "image_url": {"url": PNG}}
    calls = [call(), call("functions.g:0", "", "g"), call("t3", {"b": 2})]
    called = turns(
        *HELLO,
        assistant("I look.", tool_calls=calls),
        result("one", cache_control=MARK),
        user("and?"),
        result([text("two"), image], "functions.g:0", is_error=True),
        result("", "t3"),
    )
    own = called[1]["content"][2]["id"]
    assert own.startswith("call_")
    assert called[1]["content"] == [text("I look."), use(), use(own, {}, "g"), use("t3", {"b": 2})]
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert called[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one", "cache_control": MARK},
        {
            "type": "tool_result",
            "tool_use_id": own,
            "content": [text("two"), {"type": "image", "source": source}],
            "is_error": True,
        },
        {"type": "tool_result", "tool_use_id": "t3"},
        text("and?"),
    ]


def test_the_older_form_of_a_call() -> None:
    function = {"name": "f", "arguments": '{"a":1}'}
    called = turns(
        *HELLO, assistant(function_call=function), {"role": "function", "name": "f", "content": "one"}, user("and?")
    )
    assert called[1]["content"][0]["id"] == called[2]["content"][0]["tool_use_id"]
    assert called[2]["content"][0]["content"] == "one"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (assistant(tool_calls=[call(arguments='{"a')]), "messages[1].tool_calls[0].function.arguments"),
        (assistant(tool_calls=[call(arguments="[]")]), "messages[1].tool_calls[0].function.arguments"),
        (assistant(tool_calls=[{"id": "c", "type": "custom", "custom": {}}]), "messages[1].tool_calls[0].function"),
        (assistant(tool_calls=[call("")]), "messages[1].tool_calls[0].id"),
        ({"role": "tool", "content": "x"}, "messages[1].tool_call_id"),
        (assistant([{"type": "image_url", "image_url": {"url": PNG}}]), "messages[1].content"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}, "messages[1].content"),
    ],
)
def test_a_message_that_it_has_no_form_for_is_named(message: dict[str, Any], param: str) -> None:
    assert refused({"messages": [*HELLO, message]}) == param


def test_nothing_to_answer() -> None:
    assert refused({"messages": [user("")]}) == "messages"


def test_an_answer_that_was_begun_ends_without_white_space() -> None:
    assert turns(*HELLO, assistant("It is \n"))[1]["content"] == [text("It is")]


def test_a_mark_on_a_message_is_that_of_its_last_part() -> None:
    marked = turns({"role": "user", "content": [text("a"), text("b")], "cache_control": MARK})
    assert marked[0]["content"] == [text("a"), text("b", cache_control=MARK)]


def test_a_type_that_the_catalog_passes_goes_on_as_it_is() -> None:
    part = {"type": "search_result", "source": "x", "title": "t", "content": []}
    assert sent({"messages": [user(part)]}, passes=frozenset({"search_result"}))["messages"][0]["content"] == [part]

"""Messages in Gemini's form: roles, parts, tools, signatures."""

from typing import Any

import pytest

from domain.errors import RequestInvalid
from providers.gemini import contents, signatures

PNG = "data:image/png;base64,iVBORw0KGgo="
THREE, BEFORE = "gemini-3.8-flash", "gemini-2.5-flash"


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def parts_of(part: dict[str, Any]) -> Any:
    (content,) = contents.fields(user(part), THREE)["contents"]
    return content["parts"]


def call(call_id: str, arguments: str = "{}", name: str = "f", **beside: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **beside}


def test_roles_are_two_and_neighbours_are_merged() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": None, "refusal": None},
        {"role": "user", "content": "d"},
    ]
    assert contents.fields(messages, THREE) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "c"}]},
            {"role": "user", "parts": [{"text": "d"}]},
        ],
    }


def test_there_is_always_a_turn_of_the_user() -> None:
    system = contents.fields([{"role": "system", "content": "a"}], THREE)
    assert system == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    assert contents.fields(user(), THREE) == {"contents": [{"role": "user", "parts": [{"text": ""}]}]}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": PNG}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        ),
        (
            {"type": "image_url", "image_url": "https://x.test/a.webp"},
            {"fileData": {"fileUri": "https://x.test/a.webp", "mimeType": "image/webp"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a?b=c"}},
            {"fileData": {"fileUri": "https://x.test/a?b=c", "mimeType": "image/jpeg"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=1"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERg=="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "https://x.test/a.pdf"}},
            {"fileData": {"fileUri": "https://x.test/a.pdf", "mimeType": "application/pdf"}},
        ),
    ],
)
def test_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parts_of(part) == [expected]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https://storage.googleapis.com/b/a.png"}}, "image_url.url"),
        (
            {"type": "video_url", "video_url": {"url": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
            "video_url.url",
        ),
        ({"type": "image_url", "image_url": {"url": "https://youtu.be/1"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https://x.test/a.mp4"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:video/mp4;base64,AAAA"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AAAA"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        ({"type": "image_url"}, "image_url"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "../x"}}, "input_audio.format"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "AAAA", "filename": "a.mp4"}}, "file.filename"),
        ({"type": "file", "file": {"file_data": "data:video/mp4;base64,AAAA"}}, "file.file_data"),
        ({"type": "tool_use"}, "type"),
    ],
)
def test_a_part_that_gemini_cannot_take_is_named(part: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as error:
        contents.fields([*user(), *user({"type": "text", "text": "a"}, part)], THREE)
    assert error.value.param == f"messages[1].content[1].{param}"


def test_results_of_parallel_calls_are_one_turn_and_have_the_names_of_their_calls() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": [call("c1", '{"a": 1}'), call("c2", "", "g")]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "one"}]},
    ]
    model, results = contents.fields(messages, BEFORE)["contents"]
    assert model["parts"] == [
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
    ]
    assert results == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "c2", "name": "g", "response": {"output": "two"}}},
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
        ],
    }


def test_a_result_with_an_image_is_for_gemini_3() -> None:
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    messages = [
        {"role": "assistant", "tool_calls": [call("c1")]},
        {"role": "tool", "tool_call_id": "c1", "content": [picture]},
    ]
    (part,) = contents.fields(messages, THREE)["contents"][1]["parts"]
    assert part["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]
    with pytest.raises(RequestInvalid) as error:
        contents.fields(messages, BEFORE)
    assert error.value.param == "messages[1].content[0]"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "tool_call_id": "x", "content": "a"}, "tool_call_id"),
        ({"role": "assistant", "tool_calls": [call("c", "[1]")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call("c", "{")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}, "tool_calls[0].type"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "tool_calls[0].function"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}, "content[0]"),
    ],
)
def test_a_message_that_gemini_cannot_take_is_named(message: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as error:
        contents.fields([message], THREE)
    assert error.value.param == f"messages[0].{param}"


def test_signatures_go_back_to_the_parts_that_they_sign() -> None:
    details = [signatures.detail("of-text", 0), signatures.detail("of-c2", 1, "c2")]
    foreign = {"type": "reasoning.encrypted", "data": "x", "id": "c1", "format": "anthropic-claude-v1"}
    extra: dict[str, Any] = {"extra_content": signatures.extra_content("of-c1")}
    message = {"role": "assistant", "content": "a", "tool_calls": [call("c1", **extra), call("c2", name="g")]}
    message["reasoning_details"] = [*details, foreign]
    (content,) = contents.fields([message], THREE)["contents"]
    assert [part.get("thoughtSignature") for part in content["parts"]] == ["of-text", "of-c1", "of-c2"]


def test_a_call_without_its_signature_has_the_mark_that_google_documents() -> None:
    message = {"role": "assistant", "tool_calls": [call("c1"), call("c2")]}
    for model, expected in ((THREE, [signatures.UNSIGNED, None]), (BEFORE, [None, None])):
        (content,) = contents.fields([message], model)["contents"]
        assert [part.get("thoughtSignature") for part in content["parts"]] == expected

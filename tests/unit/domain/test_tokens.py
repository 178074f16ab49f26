import json
import math
from typing import Any

import pytest

from domain import token_bounds, tokens
from providers import tokenizer


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("Hello world", 2), ("What is 2+2?", 7), ("天気", 2), ("<|endoftext|>", 7), ("a" * 10_000, 1250)],
)
def test_the_shipped_table_counts(text: str, count: int) -> None:
    assert tokenizer.count(text) == count


def test_a_request_counts_its_messages_tools_and_images() -> None:
    def of(body: dict[str, object]) -> int:
        return tokens.of_request(body, tokenizer.count, family="openai").count

    plain = of({"messages": [{"role": "user", "content": "What is 2+2?"}]})
    assert plain == 3 + 3 + 1 + 7
    parts = of({"messages": [{"role": "user", "content": [{"type": "text", "text": "What is 2+2?"}]}]})
    assert plain <= parts <= plain + 6
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 50_000}}
    assert of({"messages": [{"role": "user", "content": [image]}]}) == 3 + 3 + 1 + tokens.PER_IMAGE
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    with_tool = of({"messages": [{"role": "user", "content": "What is 2+2?"}], "tools": [tool]})
    assert with_tool >= plain + tokens.PER_TOOL + tokens.ANY_TOOL


@pytest.mark.parametrize("family", ["openai", "anthropic", "google", "somebody"])
def test_the_bound_is_above_the_count(family: str) -> None:
    counted = tokens.of_request(
        {"messages": [{"role": "user", "content": "word " * 1000}]}, tokenizer.count, family=family
    )
    assert counted.bound > counted.count


def test_a_very_long_output_is_counted_by_its_head_and_in_pieces() -> None:
    text = "word " * 100_000
    seen = []

    def count(part: str) -> int:
        seen.append(len(part))
        return tokenizer.count(part)

    assert abs(tokens.text_tokens(text, count) - 100_000) < 100
    assert (max(seen), sum(seen)) == (tokens.PIECE, tokens.LONG_TEXT)


@pytest.mark.parametrize("message", [{"role": "user", "content": None}, {"role": "user", "content": [7, None]}, {}])
def test_odd_messages_do_not_break_the_count(message: dict[str, object]) -> None:
    assert tokens.of_request({"messages": [message]}, tokenizer.count, family="openai").count >= 6


@pytest.mark.parametrize(
    ("text", "tokens_elsewhere"),
    [
        ("aaaa" * 1000, 1400),
        ("\n" * 4000, 1000),
        ("1234567890" * 100, 1000),
        ("სალამი " * 500, 4400),
        ("😀" * 500, 1100),
    ],
    ids=["runs", "newlines", "digits", "georgian", "emoji"],
)
def test_what_other_tokenizers_split_is_bounded(text: str, tokens_elsewhere: int) -> None:
    body = {"messages": [{"role": "user", "content": text}]}
    assert tokens.of_request(body, tokenizer.count, family="mistral").bound >= tokens_elsewhere


def test_tools_are_counted_as_the_json_that_they_are() -> None:
    schema = {"type": "object", "properties": {f"field_{n}": {"type": "string"} for n in range(100)}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body = {"messages": [{"role": "user", "content": "x"}], "tools": [tool]}
    written = tokenizer.count(json.dumps(tool, separators=(",", ":")))
    assert tokens.of_request(body, tokenizer.count, family="openai").count >= written
    assert tokens.of_request(body, tokenizer.count, family="deepseek").bound >= tokenizer.count(json.dumps(tool))


@pytest.mark.parametrize(
    ("family", "part", "most"),
    [
        ("openai", {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}}, 14_364),
        ("anthropic", {"type": "image_url", "image_url": {"url": "https://x/y.png"}}, 4_784),
        ("google", {"type": "file", "file": {"file_data": "A" * 4_000_000}}, 3_000_000),
        ("google", {"type": "file", "file": {"file_data": "A" * 1_000}}, 1_000 * 1_120),
        ("openai", {"type": "file", "file": {"file_data": "A" * 1_000}}, 100 * 4_000),
        ("anthropic", {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}, 600 * 7_000),
        (
            "lab",
            {"type": "file", "file": {"file_data": "data:text/plain;base64,AAAA", "filename": "x.PDF"}},
            100 * 7_000,
        ),
        (
            "openai",
            {"type": "file", "file": {"file_data": "data:text/plain;base64,A", "file_url": "https://x"}},
            400_000,
        ),
        ("openai", {"type": "file", "file": {"file_data": "data:text/plain;base64,A", "filename": "x.docx"}}, 400_000),
        ("google", {"type": "file", "file": {"file_data": "data:text/pdf;base64,AAAA"}}, 1_000 * 1_120),
        ("google", {"type": "input_audio", "input_audio": {"data": "A" * 400_000, "format": "mp3"}}, 300_000 // 32),
        ("openai", {"type": "file", "file": {"file_id": "file-1"}}, 1_000_000),
    ],
)
def test_attachments_are_bounded_by_what_their_vendor_makes_of_them(
    family: str, part: dict[str, object], most: int
) -> None:
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert tokens.of_request(body, tokenizer.count, family=family).bound >= most


def test_a_text_in_a_file_is_held_for_by_its_bytes() -> None:
    part = {"type": "file", "file": {"file_data": "data:text/plain;base64," + "A" * 4_000, "filename": "x.txt"}}
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert 3_000 < tokens.of_request(body, tokenizer.count, family="openai").bound < 3_300


TEXT = "foo bar " * 5000
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "assistant", "content": "x", "reasoning_content": TEXT}, USER]},
        {"messages": [{"role": "assistant", "content": None, "refusal": TEXT}, USER]},
        {"messages": [USER | {"name": TEXT}]},
        {"messages": [USER], "prediction": {"type": "content", "content": TEXT}},
        {"messages": [USER], "documents": [{"text": TEXT}]},
    ],
    ids=["reasoning", "refusal", "name", "prediction", "documents"],
)
def test_the_bound_has_all_of_it(body: dict[str, Any]) -> None:
    assert tokens.of_request(body, tokenizer.count, family="openai").bound >= tokenizer.count(TEXT)


NESTED = json.loads('{"enum":[' + "{}," * 9999 + "[]]}")
PDF = {"type": "file", "file": {"filename": TEXT, "file_data": "AAAA"}}


@pytest.mark.parametrize(
    ("body", "beside"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": NESTED}}}, {}),
        ({"chat_template_kwargs": NESTED}, {}),
        ({}, {"tools.0.input_examples": [NESTED]}),
    ],
    ids=["schema", "template", "examples"],
)
def test_brackets_are_held_for_where_a_vendor_writes_json_into_the_prompt(
    body: dict[str, Any], beside: dict[str, Any]
) -> None:
    counted = tokens.of_request({"messages": [USER], **body}, tokenizer.count, family="anthropic", beside=beside)
    assert counted.bound >= tokenizer.count(json.dumps(NESTED, separators=(",", ":")))


@pytest.mark.parametrize(
    "sealed",
    ["EqwTCioIDBgCIiQ5MGZj" * 500, "A" * 10_000, "qXzRkWvT" * 1250],
    ids=["as-seen", "one-letter", "no-digits"],
)
def test_what_a_search_found_is_held_for_by_its_characters(sealed: str) -> None:
    """Anthropic reports three tokens for ten characters of sealed pages, and no count is made of what is sealed."""
    step = {"type": "web_search_tool_result", "content": [{"type": "web_search_result", "encrypted_content": sealed}]}
    plain = tokens.of_request({"messages": [USER]}, tokenizer.count, family="anthropic")
    counted = tokens.of_request(
        {"messages": [USER]}, tokenizer.count, family="anthropic", beside={"messages.1.content.0": step}
    )
    assert counted.bound - plain.bound >= len(sealed) * 0.35
    assert counted.count == plain.count


@pytest.mark.parametrize(
    ("body", "beside", "more"),
    [
        ({"web_search_options": {}}, {}, tokens.SEARCHED),
        ({}, {"tools.0": {}, "tools.0.name": ""}, tokens.OWN_TOOL),
        ({}, {"tools[0]": {}, "tools[1]": {}, "tools[2].description": ""}, 2 * tokens.OWN_TOOL),
    ],
    ids=["search", "anthropic", "responses"],
)
def test_what_a_vendor_adds_to_the_prompt_is_held_for(body: dict[str, Any], beside: dict[str, Any], more: int) -> None:
    plain = tokens.of_request({"messages": [USER]}, tokenizer.count, family="openai")
    counted = tokens.of_request({"messages": [USER], **body}, tokenizer.count, family="openai", beside=beside)
    assert more <= counted.bound - plain.bound < more + 20
    assert counted.count == plain.count


def test_the_name_of_a_file_is_held_for() -> None:
    body = {"messages": [{"role": "user", "content": [PDF]}]}
    assert tokens.of_request(body, tokenizer.count, family="openai").bound >= tokenizer.count(TEXT)


def test_a_cheap_head_does_not_hide_a_dear_rest() -> None:
    rest = "你好龘" * 300_000
    body = {"messages": [{"role": "user", "content": " " * tokens.LONG_TEXT + rest}]}
    has = sum(tokenizer.count(rest[at : at + 90_000]) for at in range(0, len(rest), 90_000))
    assert tokens.of_request(body, tokenizer.count, family="openai").bound >= has


@pytest.mark.parametrize("name", ["tool_calls", "reasoning_content", "refusal", "function_call"])
@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}], ids=["none", "null", "empty"])
def test_what_a_message_says_without_content_counts(name: str, content: dict[str, object]) -> None:
    call: Any = {"function": {"name": "f", "arguments": "word " * 1000}}
    call = [call] if name == "tool_calls" else call
    message = {"role": "assistant", name: call, **content}
    assert tokens.of_request({"messages": [message]}, tokenizer.count, family="openai").count > 1000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document_url", "document_url": "https://example.test/long.pdf"},
        {"type": "document", "source": {"type": "url", "url": "https://example.test/long.pdf"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
    ],
    ids=lambda part: str(part["type"]),
)
def test_what_a_part_of_an_unknown_kind_brings_along_is_held_for(part: dict[str, object]) -> None:
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert tokens.of_request(body, tokenizer.count, family="mistralai").bound > token_bounds.ANY_LENGTH


@pytest.mark.parametrize("vendor", ["openai", "demo", "anthropic", "google", "deepseek", "lab"])
def test_a_text_far_above_a_window_is_certainly_above_it(vendor: str) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 60_000}]}
    counted = tokens.of_request(body, tokenizer.count, family=vendor)
    assert 32_768 < counted.least < counted.count <= counted.bound


def test_the_error_of_a_count_is_small_where_the_table_is_the_vendors() -> None:
    body = {"messages": [{"role": "user", "content": "word " * 1000}]}
    for vendor, error in (("openai", token_bounds.EXACT_ERROR), ("lab", token_bounds.COUNTING_ERROR)):
        counted = tokens.of_request(body, tokenizer.count, family=vendor)
        assert counted.least == math.floor(counted.count * (1 - error))


@pytest.mark.parametrize("kind", ["image_url", "file", "input_audio", "video_url", "zzz"])
def test_what_an_attachment_has_is_not_certain(kind: str) -> None:
    def least(*parts: dict[str, Any]) -> int:
        body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]}
        return tokens.of_request(body, tokenizer.count, family="openai").least

    assert least(*[{"type": kind, kind: {"url": "https://x/y"}}] * 50) == least()


def test_no_token_is_longer_than_the_least_count_supposes() -> None:
    longest = max(len(token) for token in tokenizer._encoding().token_byte_values())
    assert longest == tokens.MAX_TOKEN_CHARACTERS


@pytest.mark.parametrize("text", ["", " " * 1000, "word " * 500, "ü" * 700, "\U0001f600" * 300, "=" * 5000])
def test_the_least_is_never_more_than_the_count(text: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    body = {"messages": [{"role": "user", "content": text}, {"content": [{"type": "text", "text": text}, image]}]}
    counted = tokens.of_request(body, tokenizer.count, family="openai")
    assert tokens.at_least(body) <= counted.count
    assert tokens.at_least(body) == 2 * len(text) // 128


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": [1, {"content": [None, {"type": "text"}]}]}])
def test_the_least_of_what_is_no_request_is_nothing(body: dict[str, object]) -> None:
    assert tokens.at_least(body) == 0


@pytest.mark.parametrize("text", ["Hello world", "word " * 500, "ü" * 700, "नमस्ते " * 200, "7" * 300, "=" * 5000])
def test_an_input_of_embeddings_is_held_for_by_any_vocabulary(text: str) -> None:
    exact, counted = tokens.of_inputs([[1, 2, 3], text], tokenizer.count)
    assert (exact.count, exact.bound, exact.least) == (3, 3, 3)
    assert counted.least <= counted.count <= counted.bound
    assert counted.bound >= len(text.encode()) * 10 // 28
    assert tokens.inputs_at_least([[1, 2, 3], text]) == 3 + len(text) // 128 <= 3 + counted.count

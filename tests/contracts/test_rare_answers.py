"""Answers in forms that vendors send rarely: the same text and usage, whole and cut at every 1 and 7 bytes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from domain.errors import GatewayError, UpstreamError
from domain.pricing import Usage, UsageSource
from providers import assembled
from providers.base import ChatCall, ProviderEvent, WholeAnswer
from tests.support import anthropic_cases as claude
from tests.support import gemini_answers as gemini
from tests.support import responses_cases as responses
from tests.support.adapter_cases import OURS
from tests.support.doubles.openai_streams import USAGE, chunk

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
CALL = ChatCall("m", HELLO, 50, stream=True)


def used(given: int, produced: int, **parts: Any) -> Usage:
    return Usage(given, produced, UsageSource.PROVIDER, **parts)


def lines(*chunks: dict[str, Any]) -> bytes:
    return "".join(f"data: {json.dumps(each)}\n\n" for each in chunks).encode() + b"data: [DONE]\n\n"


def events(kind: str, raw: bytes, size: int) -> Iterator[ProviderEvent]:
    decoder = OURS[kind].adapter.decoder(CALL)
    for start in range(0, len(raw), size):
        yield from decoder.feed(raw[start : start + size])
    yield from decoder.eof()


def answer(kind: str, raw: bytes, size: int) -> WholeAnswer:
    return assembled.answer(events(kind, raw, size))


HI, STOP = chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop")
USED = used(15, 4)
CALLED = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
GOES_ON = {**claude.MESSAGE, "content": [CALLED], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
TOTAL = {"promptTokenCount": 9, "totalTokenCount": 24}
ONLY_AT_END = responses.events(
    *responses.BEGUN,
    responses.event(
        "completed",
        response=responses.response("completed", [responses.message("ab"), responses.call()], usage=responses.usage()),
    ),
)
ANSWERS: dict[str, tuple[str, bytes, str, Usage]] = {
    "usage in x_groq alone": ("openai", lines(HI, chunk({}, "stop", x_groq={"usage": USAGE})), "Hi", USED),
    "usage within the choice, as Moonshot": (
        "openai",
        lines(HI, {"choices": [{**STOP["choices"][0], "usage": {**USAGE, "cached_tokens": 12}}]}),
        "Hi",
        used(15, 4, cached_tokens=12),
    ),
    "a good state, as MiniMax": (
        "openai",
        lines(HI, STOP, {"choices": [], "usage": USAGE, "base_resp": {"status_code": 0, "status_msg": ""}}),
        "Hi",
        USED,
    ),
    "a message that begins with a call": (
        "anthropic",
        claude.event("message_start", message=GOES_ON) + claude.end("tool_use") + claude.event("message_stop"),
        'f{"a":1}',
        used(9, 2),
    ),
    "output in the total alone": (
        "gemini",
        gemini.events(gemini.response(gemini.text("ab"), finish="STOP", usageMetadata=TOTAL)),
        "ab",
        used(9, 15),
    ),
    "items in the last event alone": ("openai_responses", ONLY_AT_END, "abf{}", used(9, 2)),
}
FAILURES = {
    "a bad state, as MiniMax": lines(HI, {"choices": None, "base_resp": {"status_code": 1027, "status_msg": "SECRET"}}),
    "a bad state instead of an answer": lines({"choices": None, "base_resp": {"status_code": 1002}}),
    "an early end, as Groq": lines(HI, chunk({}, "stop", x_groq={"error": "over capacity"})),
}


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_rare_form_is_read_like_the_usual_one(name: str, size: int) -> None:
    kind, raw, text, usage = ANSWERS[name]
    whole = answer(kind, raw, size)
    assert (whole.text, whole.usage) == (text, usage)
    assert whole.body["choices"][0]["finish_reason"] in ("stop", "tool_calls")
    assert "usage" not in whole.body["choices"][0]


@pytest.mark.parametrize("reported", [None, 0])
def test_a_search_that_only_the_last_event_shows_is_counted(reported: int | None) -> None:
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    output = [searched, {**searched, "action": {"type": "open_page"}}, responses.message("ab")]
    raw = responses.events(
        *responses.BEGUN,
        responses.event(
            "completed", response=responses.response("completed", output, usage=responses.usage(), **_tools(reported))
        ),
    )
    call = ChatCall("m", {**HELLO, "web_search_options": {}}, 50, stream=True)
    decoder = OURS["openai_responses"].adapter.decoder(call)
    whole = assembled.answer([*decoder.feed(raw), *decoder.eof()])
    assert whole.usage is not None
    assert whole.usage.web_searches == 1


def _tools(reported: int | None) -> dict[str, Any]:
    return {} if reported is None else {"tool_usage": {"web_search": {"num_requests": reported}}}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_that_is_no_error_object(name: str) -> None:
    with pytest.raises(UpstreamError):
        answer("openai", FAILURES[name], 7)


MALFORMED = {
    "a name that is no text": ("gemini", gemini.events(gemini.response(gemini.function([{}])), gemini.ENDED)),  # type: ignore[arg-type]  # that is the point
    "a second call without a name": (
        "gemini",
        gemini.events(gemini.response(gemini.function("f"), {"functionCall": {}}), gemini.ENDED),
    ),
    "a call that comes twice": (
        "gemini",
        gemini.events(gemini.response(*[gemini.function("f", {}, "c1")] * 2), gemini.ENDED),
    ),
    "an item of no kind": (
        "openai_responses",
        responses.events(responses.added({"type": {"a": 1}}), responses.COMPLETED),
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_ends_as_an_answer_or_as_an_error_of_ours(name: str) -> None:
    kind, raw = MALFORMED[name]
    assert answer(kind, raw, 7).body["choices"][0]["finish_reason"] in ("stop", "tool_calls")


@pytest.mark.parametrize("place", ["beside", "choice", "x_groq"])
def test_where_a_whole_answer_has_its_usage(place: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    body = {
        "beside": {"choices": [choice], "usage": USAGE},
        "choice": {"choices": [{**choice, "usage": USAGE}]},
        "x_groq": {"choices": [choice], "x_groq": {"usage": USAGE}},
    }[place]
    assert OURS["openai"].adapter.answer(CALL, json.dumps(body).encode()).usage == USED


def test_a_whole_answer_with_a_bad_state_is_a_failure() -> None:
    body = {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}
    with pytest.raises(GatewayError):
        OURS["openai"].adapter.answer(CALL, json.dumps(body).encode())

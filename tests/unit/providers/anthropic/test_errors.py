"""Anthropic's errors in our words, with the caller's field where they name one."""

from typing import Any

import pytest

from domain.errors import ContextLengthExceeded, RequestInvalid, UpstreamBusy, UpstreamError, UpstreamTimeout
from providers.base import ChatCall, NativeRequest
from tests.support.adapter_case import written
from tests.support.anthropic_cases import begin, event, failure
from tests.support.anthropic_requests import HELLO, adapter

INVALID = "invalid_request_error"
TOOLS = [{"name": "f", "input_schema": {}}]


def call(**body: Any) -> ChatCall:
    return ChatCall("m", {"messages": HELLO, **body}, 10)


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (401, "authentication_error", "invalid x-api-key", UpstreamError),
        (402, "billing_error", "pay us", UpstreamError),
        (403, "permission_error", "forbidden", UpstreamError),
        (404, "not_found_error", "model: claude-sonet", UpstreamError),
        (413, "request_too_large", "Request exceeds the maximum size", ContextLengthExceeded),
        (429, "rate_limit_error", "This request would exceed your organization's rate limit", UpstreamBusy),
        (500, "api_error", "Internal server error", UpstreamError),
        (504, "timeout_error", "timed out", UpstreamTimeout),
        (529, "overloaded_error", "Overloaded", UpstreamError),
        (400, INVALID, "prompt is too long: 3333404 tokens > 200000 maximum", ContextLengthExceeded),
        (
            400,
            INVALID,
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            ContextLengthExceeded,
        ),
        (400, INVALID, "Your credit balance is too low to access the Anthropic API.", UpstreamError),
        (400, INVALID, "You have reached your specified API usage limits.", UpstreamError),
        (400, INVALID, "Output blocked by content filtering policy", RequestInvalid),
        (400, INVALID, "`temperature` is deprecated for this model.", RequestInvalid),
    ],
)
def test_each_error(status: int, kind: str, message: str, expected: type[Exception]) -> None:
    error = adapter().error(call(), status, {"retry-after": "7"}, failure(kind, message))
    assert type(error) is expected
    assert message not in repr(error)
    if status in (429, 529):
        assert isinstance(error, UpstreamError)
        assert error.retry_after is not None
        assert error.retry_after.total_seconds() == 7


@pytest.mark.parametrize(
    ("message", "body", "param"),
    [
        ("messages.0.content.1.image.source: bad", {}, "messages"),
        ("system.0: bad", {}, "messages"),
        ("max_tokens: 9 > 8", {"max_completion_tokens": 9}, "max_completion_tokens"),
        ("tools.0.custom.input_schema: bad", {"tools": []}, "tools"),
        ("output_config.format.schema: bad", {"response_format": {}}, "response_format"),
        ("thinking.budget_tokens: bad", {"reasoning": {}}, "reasoning"),
        ("stop_sequences.0: bad", {"stop": "x"}, "stop"),
        ("temperature: bad", {}, None),
        ("`temperature` is deprecated for this model.", {"temperature": 1}, "temperature"),
        ("the host secret.internal: bad", {}, None),
        ("bad", {}, None),
    ],
)
def test_the_field_that_it_names(message: str, body: dict[str, Any], param: str | None) -> None:
    error = adapter().error(call(**body), 400, {}, failure(INVALID, message))
    assert isinstance(error, RequestInvalid)
    assert error.param == param


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("messages.0.content.SECRET: bad", "messages.0.content"),
        ("tools.0.input_schema.type: bad", "tools.0.input_schema"),
        ("tools.7: bad", "tools"),
        ("secret.0: bad", None),
    ],
)
def test_the_field_of_a_native_request(message: str, param: str | None) -> None:
    native = NativeRequest("anthropic", {"messages": HELLO, "tools": TOOLS})
    error = adapter().error(ChatCall("m", {}, 10, native=native), 400, {}, failure(INVALID, message))
    assert isinstance(error, RequestInvalid)
    assert error.param == param


@pytest.mark.parametrize(
    ("message", "body", "unsupported"),
    [
        ("`temperature` is deprecated for this model.", {"temperature": 1}, {"temperature"}),
        ("thinking.type.enabled: not supported by this model", {"reasoning_effort": "low"}, {"reasoning_effort"}),
        ("top_k: Extra inputs are not permitted", {"top_k": 1}, {"top_k"}),
        ("temperature: Input should be less than or equal to 1", {"temperature": 1}, set()),
        ("tools.0: Extra inputs are not permitted", {"tools": []}, set()),
    ],
)
def test_what_may_be_left_out_is_named(message: str, body: dict[str, Any], unsupported: set[str]) -> None:
    error = adapter().error(call(**body), 400, {}, failure(INVALID, message))
    assert error.unsupported == unsupported
    request = adapter().request(ChatCall("kimi", call(**body).body, 4000, drops=error.unsupported))
    assert unsupported <= set(request.dropped)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", UpstreamError),
        ("rate_limit_error", UpstreamBusy),
        ("timeout_error", UpstreamTimeout),
        ("api_error", UpstreamError),
        ("of_tomorrow", UpstreamError),
        (None, UpstreamError),
    ],
)
def test_an_error_in_a_stream(kind: Any, expected: type[Exception]) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "SECRET"}}
    for raw in (
        event("error", error=error["error"]),
        b"data: " + written(error) + b"\n\n",
        b"event: error\ndata: x\n\n",
    ):
        decoder = adapter().decoder(call())
        with pytest.raises(UpstreamError) as failed:
            list(decoder.feed(begin() + raw))
        assert type(failed.value) is (UpstreamError if b"data: x" in raw else expected)


def test_an_error_with_status_200() -> None:
    with pytest.raises(UpstreamBusy):
        adapter().answer(call(), failure("rate_limit_error"))

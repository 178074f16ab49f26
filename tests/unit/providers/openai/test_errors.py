"""What a provider's refusal means: who can mend it, and in which words it is told."""

import json
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import (
    ContextLengthExceeded,
    GatewayError,
    RequestInvalid,
    UpstreamBusy,
    UpstreamError,
    UpstreamTimeout,
)
from providers.base import ChatCall
from tests.support.doubles.openai_streams import ADAPTER

CALL = ChatCall("m", {"messages": [{"role": "user", "content": "x"}], "temperature": 1, "n": 2}, 10)


def error(status: int, body: Any = None, **headers: str) -> GatewayError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ADAPTER.error(CALL, status, headers, raw)


def openai(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | fields}


TOO_LONG = [
    (400, openai("SECRET", code="context_length_exceeded")),
    (400, openai("Your input exceeds the context window of this model. Please adjust your input and try again.")),
    (400, openai("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.", code=400)),
    (400, openai("This model's maximum context length is 10 tokens.", type="BadRequestError", param="input_tokens")),
    (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    (400, {"error": {"message": "This endpoint's maximum context length is 32768 tokens.", "code": 400}}),
    (400, {"error": {"message": "x", "code": 400, "metadata": {"error_type": "context_length_exceeded"}}}),
    (400, {"error": {"message": "x", "code": 400, "metadata": {"raw": '{"message":"prompt is too long: 5 tokens"}'}}}),
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}}),
    (400, {"error": {"code": 400, "message": "the request exceeds the available context size. try increasing it"}}),
    (500, {"error": {"code": 500, "message": "context size exceeded", "type": "server_error"}}),
    (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            "type": "invalid_request_prompt",
            "code": "3051",
        },
    ),
    (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 300 tokens > 200 maximum"},
        },
    ),
    (400, openai("input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000")),
    (400, openai("Please reduce the length of the messages or completion.", param="messages")),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "The input token count (2000) exceeds the maximum number of tokens allowed (1000).",
                "status": "INVALID_ARGUMENT",
            }
        },
    ),
    (400, [{"error": {"code": 400, "message": "The input token count exceeds the maximum number of tokens allowed"}}]),
    (
        422,
        {
            "error": {
                "message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.",
                "type": "invalid_request_error",
            }
        },
    ),
    (
        400,
        {
            "code": "invalid-argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        },
    ),
    (400, {"error": "input length exceeds maximum context length"}),
    (400, {"detail": "Input is too long for requested model."}),
    (400, openai("Range of input length should be [1, 30720]", code="invalid_parameter_error")),
    (400, openai("Invalid request: Your request exceeded model token limit: 8192")),
    (400, openai("Prompt exceeds max length", code="1261")),
    (400, openai("The input (9000 tokens) is longer than the model's context length (8192 tokens).")),
    (400, openai("too many tokens: total number of tokens in the prompt cannot exceed 4081")),
    (400, openai("Prompt 超长", code="1261")),
    (400, openai("Input validation error: `inputs` must have less than 1024 tokens. Given: 2000")),
    (400, {"detail": "Input length 9000 exceeds maximum allowed token size 4096"}),
    (422, openai("Total token count exceeds limit")),
    (400, {"message": "the request exceeds the maximum token count"}),
    (400, openai("total tokens 9000 greater than 8192", code="max_prompt_tokens")),
    (400, openai("Conversation too long; please start a new one")),
    (400, b"Token limit exceeded: 9000 > 4096"),
    (413, b""),
    (413, b"<html>Request Entity Too Large</html>"),
]


@pytest.mark.parametrize(("status", "body"), TOO_LONG)
def test_too_long_an_input(status: int, body: Any) -> None:
    result = error(status, body)
    assert isinstance(result, ContextLengthExceeded)
    assert (result.code, result.param) == ("context_length_exceeded", "messages")


OURS_TO_MEND = [
    (401, openai("Incorrect API key provided: sk-SECRET", code="invalid_api_key")),
    (400, {"code": "invalid-argument", "error": "Incorrect API key provided. You can obtain an API key from SECRET"}),
    (400, {"error": {"code": 400, "message": "API key not valid. SECRET", "details": [{"reason": "API_KEY_INVALID"}]}}),
    (400, openai("The requested model 'SECRET' does not exist.", param="model", code="model_not_found")),
    (400, {"error": {"message": "SECRET is not a valid model ID", "code": 400}}),
    (400, openai("The model `SECRET` has been decommissioned", code="model_decommissioned")),
    (400, openai("The model SECRET does not exist or you do not have access to it.")),
    (400, {"object": "error", "message": "Invalid model: SECRET", "type": "invalid_model", "code": "1500"}),
    (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}}),
    (402, {"error": {"message": "Insufficient credits", "code": 402}}),
    (403, {"error": {"message": "Key limit exceeded", "code": 403}}),
    (404, {"error": "model 'SECRET' not found"}),
    (404, {"error": {"message": "No endpoints found matching your data policy", "code": 404}}),
    (429, openai("You exceeded your current quota", type="insufficient_quota", code="insufficient_quota")),
    (400, openai("Tool call validation failed", code="tool_use_failed", failed_generation="SECRET")),
    (301, b""),
    (405, b"SECRET"),
    (500, b"<html>SECRET</html>"),
    (502, b""),
]


@pytest.mark.parametrize(("status", "body"), OURS_TO_MEND)
def test_another_route_may_answer(status: int, body: Any) -> None:
    result = error(status, body)
    assert type(result) is UpstreamError
    assert result.retryable
    assert "SECRET" not in str(result)


@pytest.mark.parametrize(
    ("body", "blamed"),
    [
        ({"error": {"message": "Key limit exceeded", "code": 403}}, True),
        ({"error": {"message": "Your API key was reported as leaked. Please use another API key."}}, True),
        ({"error": {"message": "Consumer 'api_key:SECRET' has been suspended.", "status": "PERMISSION_DENIED"}}, True),
        ({"code": "403", "error": "Your team SECRET has used all available credits"}, True),
        (openai("You have insufficient permissions. Missing scopes: model.request"), True),
        (openai("Country, region, or territory not supported", code="unsupported_country_region_territory"), False),
        (openai("Project `SECRET` does not have access to model `SECRET`", code="model_not_found"), False),
        ({"error": {"message": "You do not have permission to access the File SECRET or it may not exist."}}, False),
        ({"error": {"type": "permission_error", "message": "Your API key does not have permission to use it"}}, False),
        ({"error": {"message": "Forbidden", "metadata": {"input": "my api key is invalid and expired"}}}, False),
        (b"<html>SECRET blocked by a firewall</html>", False),
    ],
)
def test_a_403_blames_the_key_only_if_it_says_so(body: Any, blamed: bool) -> None:
    result = error(403, body)
    assert type(result) is UpstreamError
    assert result.blames_key is blamed


def test_a_403_about_the_content_is_the_callers() -> None:
    result = error(403, {"code": "x", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE"})
    assert isinstance(result, RequestInvalid)


def test_later_and_too_late() -> None:
    for status, kind in ((429, UpstreamBusy), (503, UpstreamError), (529, UpstreamError)):
        busy = error(status, openai("SECRET"), **{"retry-after": "7"})
        assert type(busy) is kind
        assert isinstance(busy, UpstreamError)
        assert busy.retry_after == timedelta(seconds=7)
    soon = error(429, openai("SECRET"), **{"retry-after": "7", "retry-after-ms": "250"})
    assert isinstance(soon, UpstreamError)
    assert soon.retry_after == timedelta(milliseconds=250)
    per_minute = openai(
        "Request too large for model x on tokens per minute (TPM): Limit 6000", code="rate_limit_exceeded"
    )
    assert isinstance(error(413, per_minute), UpstreamBusy)
    for status in (408, 504, 524):
        assert type(error(status)) is UpstreamTimeout


THEIRS_TO_MEND = [
    (400, openai("SECRET", param="temperature", code="unsupported_value"), "temperature", "unsupported_parameter"),
    (400, openai("SECRET", param="temperature", code="unsupported_zzz"), "temperature", "unsupported_parameter"),
    (400, openai("SECRET model", param="messages[3].content", code="zzz"), "messages[3]", "invalid_value"),
    (400, openai("SECRET", param="sk-live at 10.0.0.7", code="invalid_type"), None, "invalid_type"),
    (400, openai("SECRET", code=None), None, "invalid_value"),
    (422, {"detail": [{"loc": ["body", "n"], "msg": "SECRET", "type": "int"}]}, "n", "invalid_value"),
    (400, b"SECRET", None, "invalid_value"),
    (400, b"\xff", None, "invalid_value"),
    (
        400,
        openai("Unsupported value: 'temperature' does not support 0 with this model.", param="temperature"),
        "temperature",
        "invalid_value",
    ),
    (
        400,
        openai("max_tokens is too large: 5. This model supports at most 4 completion tokens", param="max_tokens"),
        None,
        "invalid_value",
    ),
    (400, openai("SECRET", code="content_policy_violation"), "messages", "invalid_value"),
    (
        400,
        openai("SECRET", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "messages",
        "invalid_value",
    ),
    (
        403,
        {"error": {"message": "Input was flagged: SECRET", "metadata": {"flagged_input": "SECRET"}}},
        "messages",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("status", "body", "param", "code"), THEIRS_TO_MEND)
def test_what_the_caller_can_mend(status: int, body: Any, param: str | None, code: str) -> None:
    result = error(status, body)
    assert type(result) is RequestInvalid
    assert (result.param, result.code) == (param, code)
    assert "SECRET" not in str(result)


@pytest.mark.parametrize("body", [b"[" * 70_000, b'{"error":' * 5_000, b'{"error": {"message": "' + b"x" * 70_000])
def test_an_error_body_without_end(body: bytes) -> None:
    assert isinstance(error(400, body), RequestInvalid)
    assert type(error(500, body)) is UpstreamError

"""Google's errors in our words."""

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
from providers.gemini import errors
from tests.support.gemini_answers import error, retry_info

BODY = {
    "messages": [],
    "temperature": 1,
    "tools": [],
    "reasoning": {},
    "n": 2,
    "response_format": {},
    "tool_choice": "x",
}
BLAMED = {"@type": "BadRequest", "fieldViolations": [{"field": "generation_config.response_json_schema"}]}


def translated(status: int, value: Any) -> GatewayError:
    return errors.of(status, {}, json.dumps(value).encode(), BODY)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Invalid value at 'generation_config.temperature' (TYPE_FLOAT)", "temperature"),
        ("Multiple candidates is not enabled for this model", "n"),
        ("* GenerateContentRequest.tools[0].function_declarations[0].parameters: bad", "tools"),
        ("Thinking level XHIGH is not supported for this model.", "reasoning"),
        ("Unsupported MIME type: image/tiff", "messages"),
        ("Function calling config is set without function_declarations", "tool_choice"),
        ("Request contains an invalid argument.", None),
    ],
)
def test_an_error_names_the_field_of_the_request(message: str, param: str | None) -> None:
    answer = translated(400, error(400, "INVALID_ARGUMENT", message))
    assert isinstance(answer, RequestInvalid)
    assert answer.param == param


def test_an_error_names_the_field_that_its_details_name() -> None:
    answer = translated(400, error(400, "INVALID_ARGUMENT", "SECRET", BLAMED))
    assert isinstance(answer, RequestInvalid)
    assert answer.param == "response_format"


@pytest.mark.parametrize(
    ("status", "value", "kind"),
    [
        (400, error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), UpstreamError),
        (400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), UpstreamError),
        (400, error(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum"), ContextLengthExceeded),
        (401, error(401, "UNAUTHENTICATED"), UpstreamError),
        (403, error(403, "PERMISSION_DENIED"), UpstreamError),
        (404, error(404, "NOT_FOUND", "models/x is not found for API version v1beta"), UpstreamError),
        (499, error(499, "CANCELLED"), UpstreamError),
        (429, error(429, "RESOURCE_EXHAUSTED"), UpstreamBusy),
        (500, [error(500, "INTERNAL")], UpstreamError),
        (503, error(503, "UNAVAILABLE"), UpstreamError),
        (504, error(504, "DEADLINE_EXCEEDED"), UpstreamTimeout),
        (502, {"error": "text"}, UpstreamError),
        (500, 7, UpstreamError),
    ],
)
def test_kinds_of_errors(status: int, value: Any, kind: type[GatewayError]) -> None:
    answer = translated(status, value)
    assert type(answer) is kind
    if isinstance(value, dict) and isinstance(value["error"], dict):  # the same in a stream, with status 200
        assert type(errors.within(value, BODY)) is kind


def test_a_key_that_google_does_not_take_is_known_as_one() -> None:
    """It answers 400: with the status of other providers, the key rests and another one is tried."""
    reason = {"@type": "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    answer = translated(400, error(400, "INVALID_ARGUMENT", "SECRET", reason))
    assert isinstance(answer, UpstreamError)
    assert answer.status == 401
    place = translated(400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."))
    assert isinstance(place, UpstreamError)
    assert place.status == 402


@pytest.mark.parametrize(("delay", "seconds"), [("48s", 48), ("34.4s", 34.4), ("0s", 1), ("3600s", 60), ("x", None)])
def test_the_wait_is_in_the_details(delay: str, seconds: float | None) -> None:
    busy = translated(429, [error(429, "RESOURCE_EXHAUSTED", "SECRET", {"links": []}, retry_info(delay))])
    assert isinstance(busy, UpstreamBusy)
    assert busy.retry_after == (None if seconds is None else timedelta(seconds=seconds))

"""Each error as OpenAI's and Anthropic's SDKs see it: the right exception, with code, field and request id.

The ledger raises what the table of errors has; everything in front of it is real.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import anthropic
import openai
import pytest

from api.error_codes import TABLE, codes_of, openai_type
from api.wire.anthropic_messages import AnthropicMessages
from api.wire.anthropic_messages_answer import ERROR_TYPES
from api.wire.openai_chat import OpenAIChat
from domain import errors
from domain.errors import GatewayError
from tests.support.adapter_case import provider
from tests.support.toy_provider import ToyAdapter
from tests.support.wire_app import KEY, WireApp

OPENAI = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}
ANTHROPIC = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    409: anthropic.ConflictError,
    413: anthropic.RequestTooLargeError,
    422: anthropic.UnprocessableEntityError,
    429: anthropic.RateLimitError,
}


def error_of(kind: type[GatewayError], code: str | None) -> GatewayError:
    if kind in (errors.InsufficientCredits, errors.BelowZero):
        return kind(100, 60, 20)
    if kind is errors.RequestInvalid:
        return errors.RequestInvalid("no", param="temperature", code=code or "")
    if kind is errors.ModelNotFound:
        return errors.ModelNotFound("nobody")
    if kind is errors.AllowanceUsedUp:
        return errors.AllowanceUsedUp("no", datetime(2026, 1, 2, tzinfo=UTC))
    return kind()


def cases() -> Iterator[tuple[type[GatewayError], str | None]]:
    for kind in TABLE:
        for code, _ in codes_of(kind):
            yield kind, code


@pytest.fixture
async def app() -> AsyncIterator[WireApp]:
    made = WireApp(ToyAdapter(provider("toy")), [OpenAIChat(), AnthropicMessages()])
    async with made.http:
        yield made


@pytest.mark.parametrize(("kind", "code"), list(cases()), ids=lambda case: getattr(case, "__name__", str(case)))
@pytest.mark.parametrize("stream", [False, True])
async def test_openai(app: WireApp, kind: type[GatewayError], code: str | None, *, stream: bool) -> None:
    app.books.error = error = error_of(kind, code)
    client = openai.AsyncOpenAI(api_key=KEY, base_url="http://test/v1", http_client=app.http, max_retries=0)
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(
            model="demo-chat", messages=[{"role": "user", "content": "Hello"}], stream=stream
        )
    raised, status = caught.value, TABLE[kind].status
    assert type(raised) is OPENAI.get(status, openai.InternalServerError if status >= 500 else openai.APIStatusError)
    assert (raised.status_code, raised.code, raised.type) == (status, code, openai_type(status))
    assert raised.param == param_of(error)
    assert raised.request_id
    assert error.message in raised.message


@pytest.mark.parametrize(("kind", "code"), list(cases()), ids=lambda case: getattr(case, "__name__", str(case)))
async def test_anthropic(app: WireApp, kind: type[GatewayError], code: str | None) -> None:
    app.books.error = error = error_of(kind, code)
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url="http://test", http_client=app.http, max_retries=0)
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model="demo-chat", max_tokens=20, messages=[{"role": "user", "content": "Hello"}])
    raised, status = caught.value, TABLE[kind].status
    assert raised.status_code == status
    if status in ANTHROPIC:
        assert type(raised) is ANTHROPIC[status]
    else:
        assert isinstance(raised, anthropic.InternalServerError if status >= 500 else anthropic.APIStatusError)
    body: Any = raised.body
    usual = "api_error" if status >= 500 else "invalid_request_error"
    assert body["error"]["type"] == ERROR_TYPES.get(status, usual)
    assert body["error"]["message"] == error.message
    assert body["error"].get("code") == code
    assert body["error"].get("param") == param_of(error)
    assert raised.request_id == body["request_id"]


def param_of(error: GatewayError) -> str | None:
    if isinstance(error, errors.ModelNotFound):
        return "model"
    return getattr(error, "param", None)

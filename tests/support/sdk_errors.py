"""Errors as the SDKs of OpenAI and Anthropic raise them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai

from api.error_codes import openai_type
from api.wire.anthropic_messages_answer import ERROR_TYPES

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
TEXT = "What is 2+2?"
Client = openai.AsyncOpenAI | anthropic.AsyncAnthropic


@dataclass(frozen=True, slots=True)
class Seen:
    """An error as a program sees it, whichever SDK raised it."""

    status: int
    code: str | None
    param: str | None
    message: str
    retried: bool
    """Whether the SDK would send the request again by itself."""
    headers: Mapping[str, str]


def of_openai(client: Client, raised: openai.APIStatusError) -> Seen:
    """Check what each error has."""
    status, response = raised.status_code, raised.response
    usual = openai.InternalServerError if status >= 500 else openai.APIStatusError
    assert type(raised) is OPENAI.get(status, usual), raised
    assert raised.type == openai_type(status)
    assert raised.request_id == response.headers["x-request-id"]
    message = response.json()["error"]["message"]
    assert message in raised.message
    return Seen(status, raised.code, raised.param, message, client._should_retry(response), response.headers)


def of_anthropic(client: Client, raised: anthropic.APIStatusError) -> Seen:
    status, response, body = raised.status_code, raised.response, raised.body
    usual = anthropic.InternalServerError if status >= 500 else anthropic.APIStatusError
    assert type(raised) is ANTHROPIC[status] if status in ANTHROPIC else isinstance(raised, usual), raised
    assert isinstance(body, dict)
    error: dict[str, Any] = body["error"]
    assert error["type"] == ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    assert raised.request_id == body["request_id"] == response.headers["request-id"]
    retried = client._should_retry(response)
    return Seen(status, error.get("code"), error.get("param"), error["message"], retried, response.headers)


@dataclass(frozen=True, slots=True)
class SdkWire:
    """One endpoint through the SDK that its users have."""

    name: str
    input: str
    """The field of the input."""
    call: Callable[..., Any]
    """Makes the call with a client. A stream is begun, and not read."""
    path: str
    text_of: Callable[[Any], str] = str
    """The output in an event of a stream."""
    streams: bool = True
    prefix: str = "test-"
    """Of its models."""

    def __str__(self) -> str:
        return self.name

    @property
    def of_anthropic(self) -> bool:
        return self.name == "messages"

    def client(self, url: str, key: str, http: httpx2.AsyncClient | None = None) -> Client:
        if self.of_anthropic:
            return anthropic.AsyncAnthropic(api_key=key, base_url=url, http_client=http, max_retries=0)
        return openai.AsyncOpenAI(api_key=key, base_url=f"{url}/v1", http_client=http, max_retries=0)

    def body(self, model: str, text: str = TEXT) -> dict[str, Any]:
        of_messages = [{"role": "user", "content": text}]
        return {"model": self.prefix + model, self.input: of_messages if self.input == "messages" else text}

    async def error(self, client: Client, body: Mapping[str, Any], **fields: Any) -> Seen:
        """The error of a call that fails before its output."""
        try:
            answer = await self.call(client, {"model": body["model"], "extra_body": body, **fields})
        except openai.APIStatusError as raised:
            return of_openai(client, raised)
        except anthropic.APIStatusError as raised:
            return of_anthropic(client, raised)
        raise AssertionError(f"no error: {answer}")


async def _chat(client: Any, fields: dict[str, Any]) -> Any:
    return await client.chat.completions.create(messages=[], **fields)


async def _completions(client: Any, fields: dict[str, Any]) -> Any:
    return await client.completions.create(prompt="", **fields)


async def _responses(client: Any, fields: dict[str, Any]) -> Any:
    return await client.responses.create(input="", **fields)


async def _embeddings(client: Any, fields: dict[str, Any]) -> Any:
    return await client.embeddings.create(input="", **fields)


async def _messages(client: Any, fields: dict[str, Any]) -> Any:
    return await client.messages.create(messages=[], max_tokens=500, **fields)


def _of_chat(chunk: Any) -> str:
    return "".join(choice.delta.content or "" for choice in chunk.choices)


def _of_completion(chunk: Any) -> str:
    return "".join(choice.text for choice in chunk.choices)


def _of_delta(event: Any) -> str:
    return event.delta if event.type == "response.output_text.delta" else ""


def _of_block(event: Any) -> str:
    return event.delta.text if event.type == "content_block_delta" else ""


WIRES = (
    SdkWire("chat", "messages", _chat, "/v1/chat/completions", _of_chat),
    SdkWire("completions", "prompt", _completions, "/v1/completions", _of_completion),
    SdkWire("responses", "input", _responses, "/v1/responses", _of_delta),
    SdkWire("embeddings", "input", _embeddings, "/v1/embeddings", streams=False, prefix="test-embed-"),
    SdkWire("messages", "messages", _messages, "/v1/messages", _of_block),
)

"""Any server that speaks OpenAI's chat completions: OpenAI itself, OpenRouter, vLLM, Ollama and many more.

Upstream gets the prompt and nothing about the caller. Its texts, hosts and headers never leave this module.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
from yarl import URL

from domain.catalog import Provider, ProviderKind
from domain.errors import (
    ContextLengthExceeded,
    RequestInvalid,
    UpstreamBusy,
    UpstreamError,
    UpstreamTimeout,
)
from providers import sse
from providers.base import ChatAnswer, ChatCall, ChatChunk, Timeouts
from providers.demo.chat import DemoChat

HIGHEST_INDEX = 1024
"""Of a choice, or of a tool call: no answer has more of them."""
LARGEST_ANSWER = 32 * 1024 * 1024
_ABOUT_THE_CALLER = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id", "trace"}
)
_OURS = frozenset(
    {"store", "provider", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream", "stream_options"}
    | {"options", "api_base", "base_url", "api_key", "extra_headers", "extra_body", "extra_query", "max_credits"}
)
"""What decides where a call goes, what it may use and what is kept of it."""
_PASSED_ON = frozenset({"unsupported_parameter", "unsupported_value", "invalid_value", "invalid_type"})
_FIELD = re.compile(r"(\w+)(\[\d+\])?")
_TIMED_OUT = (TimeoutError, aiohttp.ServerTimeoutError)


class OpenAIChat:
    """One provider of kind `openai` (or `openrouter`, which speaks the same)."""

    def __init__(self, session: aiohttp.ClientSession, provider: Provider, timeouts: Timeouts) -> None:
        self._session = session
        self._url = URL(provider.base_url.rstrip("/") + "/chat/completions")
        self._headers = {name: value.get_secret_value() for name, value in provider.headers.items()}
        if provider.api_key is not None:
            self._headers["Authorization"] = f"Bearer {provider.api_key.get_secret_value()}"
        self._headers["Content-Type"] = "application/json"
        self._openrouter = provider.kind is ProviderKind.OPENROUTER
        total, connect = timeouts.total.total_seconds(), timeouts.connect.total_seconds()
        self._whole = aiohttp.ClientTimeout(total=total, sock_connect=connect)
        self._streamed = aiohttp.ClientTimeout(
            total=total, sock_connect=connect, sock_read=timeouts.idle.total_seconds()
        )
        self._first_byte = timeouts.first_byte.total_seconds()

    async def complete(self, call: ChatCall) -> ChatAnswer:
        with _in_our_words():
            async with await self._post(call, self._whole) as response:
                raw = await _read(response)
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise UpstreamError from None
        if not isinstance(body, dict) or body.get("error") or not _sound(body.get("choices"), "message"):
            raise UpstreamError
        return ChatAnswer(body)

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatChunk, None]:
        with _in_our_words():
            async with asyncio.timeout(self._first_byte):
                response = await self._post(call, self._streamed, stream=True)
            async with response:
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    raise UpstreamError
                yield ChatChunk({})  # taken on: from here on it costs
                begun, ended, choices = False, set[int](), call.body.get("n") or 1
                async for data in _events(response.content.iter_any()):
                    if data == b"[DONE]" and begun:
                        return
                    chunk = _chunk(data)
                    begun = begun or bool(chunk.get("choices"))
                    ended.update(_ended(chunk))
                    yield ChatChunk(chunk)
                if len(ended) < choices:  # cut: no [DONE], not a finish reason for each choice
                    raise UpstreamError

    async def _post(
        self, call: ChatCall, patience: aiohttp.ClientTimeout, *, stream: bool = False
    ) -> aiohttp.ClientResponse:
        """An answer with status 200, to be read and closed by the caller."""
        payload = orjson.dumps(self._payload(call, stream=stream))
        response = await self._session.post(
            self._url, data=payload, headers=self._headers, timeout=patience, allow_redirects=False
        )
        if response.status != 200:
            async with response:
                raise await _refusal(response, call.body)
        return response

    def _payload(self, call: ChatCall, *, stream: bool) -> dict[str, Any]:
        """The caller's fields, without what is about the caller; then ours, so that none of theirs can weaken them."""
        body = {k: v for k, v in call.body.items() if k not in _ABOUT_THE_CALLER and k not in _OURS}
        body["model"] = call.model
        limit = "max_completion_tokens" if "max_completion_tokens" in call.capabilities else "max_tokens"
        body[limit] = call.output_limit
        if stream:
            body["stream"] = True
            if "stream_options" in call.body:
                body["stream_options"] = call.body["stream_options"]
        if "store" in call.capabilities:
            body["store"] = False
        if self._openrouter:
            body["provider"] = {"data_collection": "deny", "zdr": True}
        if "developer_role" not in call.capabilities:
            body["messages"] = [_as_system(message) for message in body["messages"]]
        return body


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decoder = sse.Decoder()
    async for part in parts:
        for event in decoder.feed(part):
            yield _data(event)
        decoder.spoken()
    for event in decoder.end():
        yield _data(event)


def _data(event: bytes | sse.Failure) -> bytes:
    if isinstance(event, sse.Failure):
        raise UpstreamError
    return event


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except _TIMED_OUT:
        raise UpstreamTimeout from None
    except aiohttp.ClientError:
        raise UpstreamError from None


def _as_system(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise UpstreamError from None
    if not isinstance(chunk, dict) or chunk.get("error"):
        raise UpstreamError
    if chunk.get("choices") and not _sound(chunk["choices"], "delta"):
        raise UpstreamError
    return chunk


def _sound(choices: object, said: str) -> bool:
    """Whether choices are what they should be: some providers report their failure in one of them."""
    return isinstance(choices, list) and bool(choices) and all(_sound_choice(choice, said) for choice in choices)


def _sound_choice(choice: object, said: str) -> bool:
    if not isinstance(choice, dict) or choice.get("error") or choice.get("finish_reason") == "error":
        return False
    if not _sound_index(choice):
        return False
    message = choice.get(said) or {}
    calls = message.get("tool_calls") if isinstance(message, dict) else 0
    return calls is None or (isinstance(calls, list) and all(_sound_call(call) for call in calls))


def _sound_call(call: object) -> bool:
    return isinstance(call, dict) and _sound_index(call)


def _sound_index(of: Mapping[str, Any]) -> bool:
    index = of.get("index", 0)
    return type(index) is int and 0 <= index < HIGHEST_INDEX


def _ended(chunk: Mapping[str, Any]) -> list[int]:
    """The choices that end with this chunk, which is sound."""
    return [choice.get("index", 0) for choice in chunk.get("choices") or () if choice.get("finish_reason")]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """All of the body, as large as it is once it is unpacked."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise UpstreamError
        parts.append(part)
    return b"".join(parts)


async def _refusal(response: aiohttp.ClientResponse, asked: Collection[str]) -> Exception:
    """What a status other than 200 means for our caller, in our words."""
    status = response.status
    if status in (408, 504):
        return UpstreamTimeout()
    if status in (429, 503, 529):
        return UpstreamBusy(retry_after=_retry_after(response.headers))
    if status not in (400, 413, 422):
        return UpstreamError()
    error = _error_object(await response.content.read(65_536))
    code = str(error.get("code") or "")
    if code == "context_length_exceeded" or status == 413:
        return ContextLengthExceeded()
    return RequestInvalid(
        "The provider of this model does not accept a value of this request.",
        param=_field(error.get("param"), asked),
        code="unsupported_parameter"
        if code.startswith("unsupported")
        else code
        if code in _PASSED_ON
        else "invalid_value",
    )


def _field(param: object, asked: Collection[str]) -> str | None:
    """The field of the request that is meant, and which element of it: what else its name may hold is theirs."""
    found = _FIELD.match(param) if isinstance(param, str) else None
    return found[0] if found and found[1] in asked else None


def _error_object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Seconds or a date; at most a minute is passed on, since clients give up on longer ones."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (TypeError, ValueError, OverflowError):
            return None
        seconds = (at - at.now(at.tzinfo)).total_seconds()
    return timedelta(seconds=min(max(seconds, 1.0), 60.0)) if seconds == seconds else None


class OldDemoChat:
    """The demo for callers of `ChatProvider`."""

    async def complete(self, call: ChatCall) -> ChatAnswer:
        return ChatAnswer(await DemoChat().complete(call))

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatChunk, None]:
        async for chunk in DemoChat().stream(call):
            yield ChatChunk(chunk)

"""OpenAI's older form of tools, `functions` and `function_call`, in front of an adapter whose vendor has no such form.

The vendor gets tools, of which an answer may call one. The answer is given back in the older form.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from domain.errors import GatewayError, RequestInvalid
from providers.base import (
    ChatAdapter,
    ChatCall,
    Delta,
    Headers,
    ProviderEvent,
    StreamDecoder,
    UpstreamRequest,
    WholeAnswer,
)

FIELDS = frozenset({"functions", "function_call"})
_HINT = "parallel_tool_calls"


class OlderFunctions:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, adapter: ChatAdapter) -> None:
        self._adapter = adapter

    def request(self, call: ChatCall) -> UpstreamRequest:
        if not is_older(call.body):
            return self._adapter.request(call)
        try:
            request = self._adapter.request(as_tools(call))
        except RequestInvalid as error:
            raise _renamed(error) from None
        return replace(request, dropped=tuple(name for name in request.dropped if name != _HINT))

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        if not is_older(call.body):
            return self._adapter.answer(call, body)
        whole = self._adapter.answer(as_tools(call), body)
        choices = [_choice(each, "message") for each in whole.body["choices"]]
        return replace(whole, body={**whole.body, "choices": choices})

    def decoder(self, call: ChatCall) -> StreamDecoder:
        if not is_older(call.body):
            return self._adapter.decoder(call)
        return _Decoder(self._adapter.decoder(as_tools(call)))

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        if not is_older(call.body):
            return self._adapter.error(call, status, headers, body)
        return _renamed(self._adapter.error(as_tools(call), status, headers, body))


class _Decoder:
    """Implements `providers.base.StreamDecoder`."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder

    def begin(self, headers: Headers) -> Iterable[ProviderEvent]:
        return self._decoder.begin(headers)

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        yield from map(_event, self._decoder.feed(data))

    def eof(self) -> Iterator[ProviderEvent]:
        yield from map(_event, self._decoder.eof())


def is_older(body: Mapping[str, Any]) -> bool:
    return bool(body.get("functions")) and not body.get("tools")


def as_tools(call: ChatCall) -> ChatCall:
    """Return the call with its functions as tools. Raises `RequestInvalid` for what is none."""
    body = {name: value for name, value in call.body.items() if name not in FIELDS}
    for index, function in enumerate(call.body["functions"]):
        if not isinstance(function, dict):
            where = f"functions[{index}]"
            raise RequestInvalid(f"'{where}' must be an object.", param=where, code="invalid_type")
    body["tools"] = [{"type": "function", "function": function} for function in call.body["functions"]]
    chosen = call.body.get("function_call")
    if chosen is not None:
        body["tool_choice"] = {"type": "function", "function": chosen} if isinstance(chosen, dict) else chosen
    return replace(call, body=body | {_HINT: False})


def _event(event: ProviderEvent) -> ProviderEvent:
    if not isinstance(event, Delta):
        return event
    return replace(event, chunk={**event.chunk, "choices": [_choice(each, "delta") for each in event.chunk["choices"]]})


def _choice(choice: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the choice with its first call alone: the older form has no second one."""
    message = choice[where]
    if calls := message.get("tool_calls"):
        message = {name: value for name, value in message.items() if name != "tool_calls"}
        if (call := calls[0]).get("index", 0) == 0:
            message["function_call"] = call["function"]
    finish = choice.get("finish_reason")
    return {**choice, where: message, "finish_reason": "function_call" if finish == "tool_calls" else finish}


def _renamed(error: GatewayError) -> GatewayError:
    """Put the names that the client wrote into an error that names the tools."""
    param = getattr(error, "param", None)
    if isinstance(error, RequestInvalid) and isinstance(param, str) and param.startswith("tool"):
        name = param.replace("tool_choice.function", "function_call").replace("tool_choice", "function_call")
        if param.startswith("tools"):
            name = param.replace("tools", "functions", 1).replace(".function", "", 1)
        error.args = (error.message.replace(f"'{param}", f"'{name}"),)
        error.param = name
    return error

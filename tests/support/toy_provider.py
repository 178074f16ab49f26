"""A provider that does not exist, with a wire of JSON lines unlike any other's: the seam takes it as it takes OpenAI's.

request    POST …/talk/<model>   {"say": […], "most": 50, "live": true}
stream     {"hi": 1} {"w": "one "} {"use": [9, 2]} {"bye": "end"}
whole      {"text": "one two", "use": [9, 2]}
failure    {"oops": "…"}
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from domain.catalog import Provider
from domain.errors import GatewayError, RequestInvalid, UpstreamBusy, UpstreamError
from domain.pricing import Usage, UsageSource
from providers import fields, upstream_json
from providers.base import (
    Accepted,
    ChatCall,
    Delta,
    Done,
    Headers,
    ProviderEvent,
    Report,
    UpstreamRequest,
    WholeAnswer,
)
from tests.support.adapter_case import SECRET, AdapterCases, Stream, provider

MAX_LINE = 64 * 1024
_ENDS = {"end": "stop", "most": "length"}


class ToyAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, provider: Provider) -> None:
        self._url = provider.base_url
        key = provider.api_key.get_secret_value() if provider.api_key else ""
        self._headers = {"toy-key": key, "content-type": "application/json"}

    def request(self, call: ChatCall) -> UpstreamRequest:
        if call.body.get("n", 1) != 1:
            raise RequestInvalid("This provider gives one answer.", param="n")
        _, dropped = fields.split(call.body, allowed={"messages", "n"})
        native = call.native.body if call.native is not None and call.native.wire == "toy" else None
        words = [message["content"] for message in call.body["messages"]] if native is None else native["say"]
        body = {"say": words, "most": call.output_limit, "live": call.stream}
        return UpstreamRequest(f"{self._url}/talk/{call.model}", self._headers, _line(body), dropped=dropped)

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        answer = upstream_json.read_whole(body)
        if not isinstance(answer, dict) or not isinstance(text := answer.get("text"), str):
            raise UpstreamError
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return WholeAnswer({"object": "chat.completion", "choices": [choice]}, text, _usage(answer), native=answer)

    def decoder(self, call: ChatCall) -> "ToyDecoder":
        return ToyDecoder(native=call.native is not None)

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return UpstreamBusy() if status == 429 else UpstreamError()


class ToyDecoder:
    """Implements `providers.base.StreamDecoder`."""

    def __init__(self, *, native: bool) -> None:
        self._rest = b""
        self._native = native
        self._begun = self._ended = False

    def begin(self, headers: Headers) -> Iterator[ProviderEvent]:
        yield from ()

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._read(line)
        if len(self._rest) > MAX_LINE:
            raise UpstreamError

    def eof(self) -> Iterator[ProviderEvent]:
        if self._rest or not self._ended:
            raise UpstreamError
        yield Done()

    def _read(self, line: bytes) -> Iterator[ProviderEvent]:
        event, _ = upstream_json.read(line)
        match event:
            case {"hi": _}:
                yield Accepted()
            case {"w": str(text)}:
                delta = {"content": text} if self._begun else {"role": "assistant", "content": text}
                self._begun = True
                yield self._delta(delta, None, text, line)
            case {"use": _}:
                if (usage := _usage(event)) is not None:
                    yield Report(usage)
            case {"bye": reason}:
                self._ended = True
                yield self._delta({}, _ENDS.get(reason, "stop"), "", line)
            case _:
                raise UpstreamError

    def _delta(self, delta: dict[str, Any], finish: str | None, text: str, line: bytes) -> Delta:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        native = line if self._native else None
        return Delta({"choices": [choice]}, text, (0,) if finish else (), native)


def _usage(answer: Mapping[str, Any]) -> Usage | None:
    match answer.get("use"):
        case [int(given), int(produced)]:
            return Usage(given, produced, UsageSource.PROVIDER)
    return None


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def lines(*events: Any) -> bytes:
    return b"".join(map(_line, events))


def _sent(request: UpstreamRequest) -> tuple[str, int]:
    return request.url.rpartition("/")[2], json.loads(request.body)["most"]


HI, ONE, TWO, USED, BYE = {"hi": 1}, {"w": "one "}, {"w": "two"}, {"use": [9, 2]}, {"bye": "end"}
TOY_CASES = AdapterCases(
    adapter=ToyAdapter(provider("toy")),
    streams={
        "usual": Stream(lines(HI, ONE, TWO, USED, BYE), "one two", 2),
        "cut by its limit": Stream(lines(HI, {"w": "é😀"}, {"bye": "most"}), "é😀"),
    },
    broken={
        "nothing": b"",
        "cut": lines(HI, ONE),
        "a failure": lines(HI, ONE, {"oops": SECRET}),
        "garbage": lines(HI) + b"{SECRET\n",
    },
    answers={"usual": _line({"text": "one two", "use": [9, 2]}), "no usage": _line({"text": "a"})},
    no_answers={"a failure": _line({"oops": SECRET}), "a page": b"<html>SECRET</html>"},
    errors={"later": (429, _line({"oops": SECRET})), "broken": (500, b"SECRET")},
    sent=_sent,
    headers={"content-type": "application/x-ndjson"},
)

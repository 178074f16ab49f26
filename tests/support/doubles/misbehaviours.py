"""How an upstream can misbehave on the wire, whatever its vendor: bytes that are wrong, late, too many or too few.

Each takes one connection and the good answer of its vendor, and writes what it does with it.
"""

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from tests.support.doubles.raw_server import Visit, answer, chunked

SECRET = b"SECRET"
EVENTS, JSON = "Content-Type: text/event-stream", "Content-Type: application/json"
HANG_SECONDS = 30
"""Longer than every timeout of the API under test."""
ENDLESS = 40 * 1024 * 1024
LATE = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class Good:
    """A good answer of a vendor: its body, and whether it is a stream."""

    body: bytes
    stream: bool
    kind: str = ""
    """Of the provider that answers so."""

    @property
    def head(self) -> str:
        return EVENTS if self.stream else JSON

    @property
    def half(self) -> bytes:
        """The first part of it: some output of a stream, and no end."""
        return self.body[: len(self.body) * 2 // 3] if self.stream else self.body[: len(self.body) // 2]


class Outcome(StrEnum):
    """What a client gets."""

    ANSWER = "answer"
    """The whole answer, charged."""
    ERROR = "error"
    """An error of its wire before any output; nothing is charged."""
    ERROR_OR_CUT = "error or cut"
    """The same, or for a stream: some output, charged, and then the error of its wire."""


Script = Callable[[Visit, Good], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    outcome: Outcome
    script: Script
    statuses: frozenset[int] = frozenset({502})
    """Of the error, when it comes before any output."""
    whole: Outcome | None = None
    """What a client of a whole answer gets, where it differs."""
    hangs: bool = False
    """It takes time alone, so any number of calls may wait for it at once."""

    def outcome_of(self, *, stream: bool) -> Outcome:
        return self.outcome if stream or self.whole is None else self.whole


def writes(*parts: Callable[[Good], bytes] | bytes, pause: float = 0.0) -> Script:
    """A script that writes these, then closes the connection."""

    async def script(visit: Visit, good: Good) -> None:
        await visit.write(*(part if isinstance(part, bytes) else part(good) for part in parts), pause=pause)

    return script


def hanging(outcome: Outcome, *parts: Callable[[Good], bytes]) -> Misbehaviour:
    """Write these, then nothing, on a connection that stays."""

    async def script(visit: Visit, good: Good) -> None:
        await writes(*parts)(visit, good)
        await asyncio.sleep(HANG_SECONDS)

    return Misbehaviour(outcome, script, LATE, hangs=True)


def status(code: str, *fields: str, body: bytes = b'{"error":{"message":"SECRET"}}') -> Script:
    return writes(answer(body, JSON, *fields, status=code))


def instead(body: bytes, head: str | None = None) -> Script:
    """200 with another body, labelled as the vendor does."""
    return writes(lambda good: answer(body, head or good.head))


def packed(change: Callable[[bytes], bytes], coding: str) -> Script:
    return writes(lambda good: answer(change(good.body), good.head, f"Content-Encoding: {coding}"))


async def _in_single_bytes(visit: Visit, good: Good) -> None:
    await visit.write(answer(b"", good.head, "Connection: close", length=False))
    for place in range(len(good.body)):
        await visit.write(good.body[place : place + 1])


async def _endless_line(visit: Visit, good: Good) -> None:
    await visit.write(answer(b"", good.head, "Connection: close", length=False), b"data: ")
    for _ in range(ENDLESS // 65_536):
        await visit.write(b"x" * 65_536)


async def _reset(visit: Visit, good: Good) -> None:
    await visit.write(answer(good.half, good.head, "Connection: close", length=False))
    visit.writer.transport.abort()


@cache
def _bomb() -> bytes:
    """40 MiB of zeros in 40 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(b"\0" * 40 * 1_048_576) + packer.flush()


def _crlf(good: Good) -> bytes:
    body = b"\xef\xbb\xbf: hello\r\n\r\n" + good.body.replace(b"\n", b"\r\n") if good.stream else good.body
    return answer(body, good.head)


def _after_the_end(good: Good) -> bytes:
    return answer(good.body + b"data: [DONE]\n\ndata: {SECRET\n\n" if good.stream else good.body, good.head)


def _usage_after_the_end(good: Good) -> bytes:
    """A bill that comes when the answer is over."""
    late = b'data: {"choices":[],"usage":{"prompt_tokens":90000,"completion_tokens":900,"total_tokens":90900}}\n\n'
    return answer(good.body + b"data: [DONE]\n\n" + late if good.stream else good.body, good.head)


_OF_OPENROUTER = b'data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"length"}]}\n\n'
_OWN_ERRORS = {
    "openai": b'event: error\ndata: {"error":{"message":"SECRET","code":"tool_use_failed","status_code":400}}\n\n',
    "openrouter": _OF_OPENROUTER
    * 2
    + b'data: {"error":{"code":502,"message":"SECRET"},"choices":[{"index":0,"delta":{},"finish_reason":null}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}\n\ndata: [DONE]\n\n',
    "gemini": b'{\n  "error": {\n    "code": 503,\n    "message": "SECRET",\n    "status": "UNAVAILABLE"\n  }\n}\n',
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"SECRET"}}\n\n',
    "openai_responses": b'event: error\ndata: {"type":"error","sequence_number":90,"error":{"message":"SECRET"}}'
    b'\n\nevent: response.failed\ndata: {"type":"response.failed","sequence_number":91,"response":{"status":"failed",'
    b'"error":{"code":"server_error","message":"SECRET"}}}\n\n',
}
"""How a vendor breaks off its stream: Groq's event, OpenRouter's two ends before the error, Google's bare JSON …"""


def _own_error(good: Good) -> bytes:
    if not good.stream:
        return answer(b'{"error":{"message":"SECRET","code":"server_error","status":"UNAVAILABLE"}}', good.head)
    newline = b"\r\n\r\n" if b"\r\n\r\n" in good.body else b"\n\n"
    error = _OWN_ERRORS.get(good.kind, b'data: {"error":{"message":"SECRET"}}\n\n')
    return answer(good.half.rpartition(newline)[0] + newline + error, good.head)


STORE_REFUSED = "refuses to be told not to keep"
_STORE = b'{"error":{"message":"Unknown parameter: store. SECRET","param":"store","code":"unknown_parameter"}}'
INJECTED = ("Set-Cookie: a=SECRET", "X-Request-Id: SECRET", "Server: SECRET", "Location: http://127.0.0.1:1/SECRET")
BUSY, REFUSED = frozenset({429, 502, 503}), frozenset({400, 404, 502})

MISBEHAVIOURS: Mapping[str, Misbehaviour] = {
    # No answer
    "closes at once": Misbehaviour(Outcome.ERROR, writes()),
    "closes in the head": Misbehaviour(Outcome.ERROR, writes(b"HTTP/1.1 200 O")),
    "never answers": hanging(Outcome.ERROR),
    "hangs after the head": hanging(
        Outcome.ERROR, lambda good: answer(b"", good.head, "Content-Length: 100", length=False)
    ),
    "speaks no HTTP": Misbehaviour(Outcome.ERROR, writes(b"SSH-2.0-SECRET\r\n\r\n")),
    "sends a head of 200 KB": Misbehaviour(Outcome.ERROR, writes(lambda _: answer(b"", "X-Pad: " + "x" * 200_000))),
    # Another status
    "429 with Retry-After": Misbehaviour(Outcome.ERROR, status("429 Too Many Requests", "Retry-After: 7"), BUSY),
    "500": Misbehaviour(Outcome.ERROR, status("500 Internal Server Error")),
    "500 with a page": Misbehaviour(Outcome.ERROR, status("500 No", body=b"<html>SECRET</html>")),
    "503 and nothing else": Misbehaviour(Outcome.ERROR, status("503 Service Unavailable", body=b""), BUSY),
    "529": Misbehaviour(Outcome.ERROR, status("529 Overloaded"), BUSY),
    "401": Misbehaviour(Outcome.ERROR, status("401 Unauthorized")),
    STORE_REFUSED: Misbehaviour(Outcome.ERROR, status("400 Bad Request", body=_STORE), REFUSED),
    "404": Misbehaviour(Outcome.ERROR, status("404 Not Found"), REFUSED),
    "418": Misbehaviour(Outcome.ERROR, status("418 I'm a teapot"), REFUSED),
    "redirects to this machine": Misbehaviour(
        Outcome.ERROR, status("307 Temporary Redirect", "Location: http://127.0.0.1:1/"), REFUSED
    ),
    "204": Misbehaviour(Outcome.ERROR, writes(b"HTTP/1.1 204 No Content\r\n\r\n")),
    # 200, and no answer in it
    "an HTML page": Misbehaviour(Outcome.ERROR, instead(b"<html>SECRET</html>", "Content-Type: text/html")),
    "nothing": Misbehaviour(Outcome.ERROR, instead(b"")),
    "null": Misbehaviour(Outcome.ERROR, instead(b"null")),
    "a list": Misbehaviour(Outcome.ERROR, instead(b"[1,2]")),
    "bytes that are no text": Misbehaviour(Outcome.ERROR, instead(bytes(range(128, 256)))),
    "an event that is no JSON": Misbehaviour(Outcome.ERROR, instead(b"data: {SECRET\n\ndata: [DONE]\n\n")),
    "an error inside 200": Misbehaviour(Outcome.ERROR, instead(b'{"error":{"message":"SECRET","code":500}}', JSON)),
    "an endless line": Misbehaviour(Outcome.ERROR, _endless_line),
    "a bomb in gzip": Misbehaviour(Outcome.ERROR, packed(lambda _: _bomb(), "gzip"), LATE),
    "gzip that is none": Misbehaviour(Outcome.ERROR, packed(lambda body: body, "gzip")),
    "an unknown coding": Misbehaviour(Outcome.ERROR, packed(lambda body: bytes(255 - each for each in body), "SECRET")),
    # Half an answer
    "cut off": Misbehaviour(
        Outcome.ERROR_OR_CUT, writes(lambda good: answer(good.half, good.head, "Connection: close", length=False))
    ),
    "reset": Misbehaviour(Outcome.ERROR_OR_CUT, _reset),
    "hangs in the middle": hanging(
        Outcome.ERROR_OR_CUT, lambda good: answer(good.half, good.head, "Content-Length: 99999", length=False)
    ),
    "shorter than its Content-Length": Misbehaviour(
        Outcome.ERROR_OR_CUT,
        writes(lambda good: answer(good.half, good.head, "Content-Length: 99999", length=False)),
    ),
    "a chunk of a wrong size": Misbehaviour(
        Outcome.ERROR_OR_CUT,
        writes(lambda good: answer(b"", good.head, "Transfer-Encoding: chunked", length=False) + b"zz\r\n" + good.body),
    ),
    "its vendor's own error in the middle": Misbehaviour(Outcome.ERROR_OR_CUT, writes(_own_error), REFUSED | BUSY),
    "garbage after the half": Misbehaviour(
        Outcome.ERROR_OR_CUT,
        writes(lambda good: answer(good.half + b"\n\ndata: {SECRET\n\n", good.head)),
    ),
    # A good answer in an unusual form
    "1xx first": Misbehaviour(
        Outcome.ANSWER,
        writes(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", lambda good: answer(good.body, good.head)),
    ),
    "no length": Misbehaviour(
        Outcome.ANSWER, writes(lambda good: answer(good.body, good.head, "Connection: close", length=False))
    ),
    "in chunks": Misbehaviour(Outcome.ANSWER, writes(lambda good: chunked(good.body, fields=(good.head,)))),
    "in single bytes": Misbehaviour(Outcome.ANSWER, _in_single_bytes),
    "CRLF, a BOM and comments": Misbehaviour(Outcome.ANSWER, writes(_crlf)),
    "more after the end": Misbehaviour(Outcome.ANSWER, writes(_after_the_end)),
    "usage after the end": Misbehaviour(Outcome.ANSWER, writes(_usage_after_the_end)),
    "gzip": Misbehaviour(Outcome.ANSWER, packed(gzip.compress, "gzip")),
    "no content type": Misbehaviour(Outcome.ANSWER, writes(lambda good: answer(good.body))),
    "headers for the client": Misbehaviour(
        Outcome.ANSWER, writes(lambda good: answer(good.body, good.head, *INJECTED))
    ),
}

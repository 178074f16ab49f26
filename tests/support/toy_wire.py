"""A client wire that does not exist, unlike OpenAI's in everything: text, JSON lines, its own key header and errors.

request    POST /toy/talk   {"to": "<model>", "say": ["…"], "most": 20, "live": false}   toy-key: <key>
whole      <text>\\n— <credits> credits
stream     the provider's lines as they are, where it speaks this wire too; then {"cost": <credits>}
failure    oops <status> <code> (<request id>): <message>
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
from starlette.types import Scope

from api import errors
from api.wire.base import ErrorAnswer, Quoted
from domain.errors import GatewayError, RequestInvalid
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall
from providers.base import Delta, NativeRequest


class ToyWire:
    """Implements `api.wire.base.ClientWire`."""

    path = "/toy/talk"
    endpoint = "toy"
    key_headers = (b"toy-key",)
    visitor_writer = None
    request_id_header = None
    content_type, stream_content_type = "text/plain; charset=utf-8", "application/x-ndjson"
    operation: ClassVar[dict[str, Any]] = {"summary": "Talk", "responses": {"200": {"description": "Words"}}}

    def parse(self, body: dict[str, Any]) -> ModelCall:
        say = body.get("say")
        if not isinstance(say, list) or not say:
            raise RequestInvalid("'say' must be an array of texts.", param="say", code="invalid_type")
        messages = [{"role": "user", "content": text} for text in say]
        return ModelCall(
            model=str(body.get("to")),
            body={"model": body.get("to"), "messages": messages},
            stream=body.get("live") is True,
            output_limit=body.get("most"),
            native=NativeRequest("toy", body),
        )

    def takes(self, quoted: Quoted) -> bool:
        return quoted.has("say")

    def whole(self, answer: CompletedAnswer, bill: Bill) -> bytes:
        text = answer.native["text"] if answer.native else answer.body["choices"][0]["message"]["content"]
        return f"{text}\n— {bill.charged} credits".encode()

    def writer(self, head: Head) -> "ToyWriter":
        return ToyWriter()

    def is_client(self, scope: Scope) -> bool:
        return False

    def error(self, error: ErrorAnswer, request_id: str) -> bytes:
        return f"oops {error.status} {error.code} ({request_id}): {error.message}".encode()


class ToyWriter:
    """Implements `gateway.wire.StreamWriter`."""

    KEEP_ALIVE: ClassVar = b"\n"

    def delta(self, delta: Delta) -> bytes:
        return delta.native + b"\n" if delta.native else _line({"w": _content(delta)})

    def held(self, credits: int) -> bytes:
        return b""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        natives = [delta.native + b"\n" if delta.native else _line({"bye": "end"}) for delta in last]
        return b"".join([*natives, _line({"cost": bill.charged})])

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        return _line({"oops": errors.of(error).code, "cost": None if bill is None else bill.charged})


def _content(delta: Delta) -> str:
    """From the chunk, not from `text`: a replay has none."""
    return "".join(choice["delta"].get("content") or "" for choice in delta.chunk["choices"])


def _line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"

"""A request that was made and charged before is answered again: from what was sealed for it, in its client's wire."""

from collections.abc import Mapping
from typing import Any

import orjson

from domain.errors import ReplayGone
from domain.ids import chat_id
from domain.ledger import Replay
from gateway import answers, assembly
from gateway.idempotency import IdempotentRequest
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall, StreamWriter, Wire


def replayed(replay: Replay, idempotent: IdempotentRequest) -> tuple[CompletedAnswer, Bill]:
    """Raises `ReplayGone` when the answer is not kept, or not for this key: the charge is remembered all the same."""
    body = idempotent.opened(replay.sealed) if replay.sealed is not None else None
    if body is None:
        raise ReplayGone(
            "The call was made and charged before under this Idempotency-Key, and its answer is not kept for this key. "
            f"GET /api/billing/charges/{chat_id(replay.hold_id)}/ explains the charge."
        )
    held = body.pop("held", replay.charged)
    bill = Bill(answers.usage_of(body["usage"]), replay.charged, replay.available, held)
    return CompletedAnswer(body, orjson.dumps(body)), bill


def stream(wire: Wire, request: ModelCall, answer: CompletedAnswer, bill: Bill) -> bytes:
    """The whole stream: through the same writer as the first time."""
    return as_stream(wire.writer(_head(answer.body, request, bill.held)), answer, bill)


def as_stream(writer: StreamWriter, answer: CompletedAnswer, bill: Bill) -> bytes:
    """A whole answer as the stream that it could have been."""
    parts = list(assembly.deltas(answer.body))
    written = [writer.delta(delta) for delta in parts if not delta.finished]
    return b"".join([*written, writer.end([delta for delta in parts if delta.finished], bill)])


def _head(body: Mapping[str, Any], request: ModelCall, held: int) -> Head:
    return Head(body["id"], body["created"], request, held)

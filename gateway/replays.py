"""A request that was made and charged before is answered again: from what was sealed for it, in its client's wire."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from domain.errors import ReplayGone
from domain.ids import chat_id
from domain.results import Replay
from gateway import answers, assembly
from gateway.call import Call
from gateway.idempotency import MAX_REPLAY_BYTES, IdempotentRequest
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall, StreamWriter


@dataclass(frozen=True, slots=True)
class Replayed:
    answer: CompletedAnswer
    bill: Bill
    held_at_start: int
    """Credits that were set aside when the first output went out; `bill` has those in the end."""
    dropped: tuple[str, ...]
    """Parameters of the request that the route did not take."""
    conversation_id: UUID | None = None
    events: tuple[tuple[str, bool], ...] = field(default=(), repr=False)
    """The events of a provider that speaks the client's wire, each with whether it ended the answer."""


def sealable(answer: CompletedAnswer, call: Call, natives: Sequence[tuple[bytes, bool]] = ()) -> bytes:
    """The content to seal for a call that ends with this answer.

    It has the provider's own answer or events, where it speaks the client's wire and all of it is small enough.
    """
    beside: dict[str, Any] = {
        "held": call.held,
        "held_at_start": call.held_at_start or call.held,
        "dropped": call.dropped,
    }
    if call.turn is not None:
        beside["conversation_id"] = str(call.turn.conversation_id)
    own: dict[str, Any] = {} if answer.native is None else {"native": answer.native}
    if natives:
        own["events"] = [(event.decode(), last) for event, last in natives]
    sealed = answers.for_replay(answer, {**beside, **own})
    return sealed if not own or len(sealed) <= MAX_REPLAY_BYTES else answers.for_replay(answer, beside)


def replayed(replay: Replay, idempotent: IdempotentRequest) -> Replayed:
    """Raises `ReplayGone` when the answer is not kept, or not for this key: the charge is remembered all the same."""
    body = idempotent.opened(replay.sealed) if replay.sealed is not None else None
    if body is None:
        raise ReplayGone(
            "The call was made and charged before under this Idempotency-Key, and its answer is not kept for this key. "
            f"GET /api/billing/charges/{chat_id(replay.hold_id)}/ explains the charge."
        )
    beside = body.pop("beside", {"held": body.pop("held", replay.charged)})  # as it was sealed before this version
    held: int = beside["held"]
    conversation = beside.get("conversation_id")
    conversation_id = UUID(conversation) if conversation else None
    bill = Bill(answers.usage_of(body["usage"]), replay.charged, replay.available, held, conversation_id is not None)
    completed = CompletedAnswer(body, orjson.dumps(body), beside.get("native"))
    events = tuple((event, last) for event, last in beside.get("events", ()))
    at_start, dropped = beside.get("held_at_start", held), tuple(beside.get("dropped", ()))
    return Replayed(completed, bill, at_start, dropped, conversation_id, events)


def stream(writer: Callable[[Head], StreamWriter], request: ModelCall, replayed: Replayed) -> bytes:
    """Replay the whole stream through the same writer as the first time."""
    body, bill = replayed.answer.body, replayed.bill
    head = Head(
        body["id"],
        body["created"],
        request,
        replayed.held_at_start,
        replayed.conversation_id,
        bill.usage.input_tokens,
    )
    writing = writer(head)
    parts = list(assembly.deltas(body))
    if replayed.events:
        own = assembly.native_deltas(replayed.events)
        parts = own if own[-1].finished else [*own, *(part for part in parts if part.finished)]
    written = [writing.delta(delta) for delta in parts if not delta.finished]
    if bill.held != replayed.held_at_start:
        written.append(writing.held(bill.held))
    return b"".join([*written, writing.end([delta for delta in parts if delta.finished], bill)])

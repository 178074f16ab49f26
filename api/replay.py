"""Answers a request that was made and charged before: from what was sealed for it, as it was asked for."""

from typing import Any

from starlette.responses import Response

from api.errors import JsonResponse
from api.wire import openai_chat as wire
from api.wire.openai_chat import ChatRequest
from domain.errors import ReplayGone
from domain.ids import chat_id
from domain.ledger import Replay
from gateway import pulled_assembly as assembly
from gateway.idempotency import IdempotentRequest

REPLAYED = {"idempotent-replayed": "true"}


def answer(found: Replay, presented: IdempotentRequest, request: ChatRequest) -> Response:
    """Raises `ReplayGone` when the answer is not kept, or not for this key: the charge is remembered all the same."""
    kept = presented.opened(found.sealed) if found.sealed is not None else None
    if kept is None:
        raise ReplayGone(
            "The call was made and charged before under this Idempotency-Key, and its answer is not kept for this key. "
            f"GET /api/billing/charges/{chat_id(found.hold_id)}/ explains the charge."
        )
    yout = {"credits_charged": found.charged, "balance": found.available}
    if request.stream:
        stream = b"".join(_events(kept, yout, include_usage=request.include_usage))
        return Response(stream, media_type="text/event-stream", headers=REPLAYED)
    charged = {"x-yout-credits-charged": str(found.charged), "x-yout-balance": str(found.available)}
    return JsonResponse(kept | {"yout": yout}, headers=REPLAYED | charged)


def _events(kept: dict[str, Any], yout: dict[str, int], *, include_usage: bool) -> list[bytes]:
    head = {name: kept[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    chunks = [head | {"choices": [choice]} for choice in assembly.deltas(kept["choices"])]
    if include_usage:
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append(head | {"choices": [], "usage": kept["usage"], "yout": yout})
    elif chunks:
        chunks[-1]["yout"] = yout
    return [*(wire.event(chunk) for chunk in chunks), wire.DONE]

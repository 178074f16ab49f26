"""`POST /v1/responses/compact`: a conversation becomes one item that stands for it, without a store.

A model writes the summary, in a call like any other. The item has the summary itself (`openai_responses_summaries`).
"""

from dataclasses import replace
from typing import Any

from api import openapi_responses
from api.wire import openai_responses, openai_responses_object, openai_responses_summaries
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from domain import json_text
from gateway.wire import Bill, CompletedAnswer, ModelCall

_ASK = (
    "Write a summary of the conversation so far. It will stand in its place: another model goes on with nothing else. "
    "Have all that is needed for it: what was asked for, what was decided and why, what was done and what came of it, "
    "names, numbers and places that are still of use, and what is left to do. Write the summary alone."
)
_SEARCH = "web_search_options"
_WITHOUT = ("text", "tool_choice", "stream", "stream_options")
"""Fields of a response that a summary does not have."""


class CompactedResponses(JsonWire):
    """Implements `api.wire.base.ClientWire`, without streams."""

    path = "/v1/responses/compact"
    endpoint = "responses.compact"
    writer = None
    operation = openapi_responses.COMPACT

    def parse(self, body: dict[str, Any]) -> ModelCall:
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        if isinstance(items, list) and items:
            body = {**body, "input": [*items, {"role": "user", "content": _ASK}]}
        rest = {name: value for name, value in body.items() if name not in _WITHOUT}
        call = openai_responses.parse({**rest, "tool_choice": "none"} if body.get("tools") else rest)
        places = {name: "input" if isinstance(given, str) else place for name, place in call.places.items()}
        left_out = [name for name in ("stream",) if body.get(name)]
        left_out += [call.as_written(name) for name in (_SEARCH,) if name in call.body]
        chat = {name: value for name, value in call.body.items() if name != _SEARCH}
        return replace(call, body=chat, places=places, left_out=tuple(left_out))

    def takes(self, quoted: Quoted) -> bool:
        """A quote takes the same body as one of a response."""
        return False

    def whole(self, answer: CompletedAnswer, bill: Bill) -> bytes:
        own_id, seed = openai_responses_object.id_of(answer.body["id"])
        message = answer.body["choices"][0].get("message") or {}
        summary = message.get("content") or message.get("refusal") or ""
        compacted = openai_responses_summaries.item(f"cmp_{seed}", str(summary))
        return json_text.dumps(
            {
                "id": own_id,
                "object": "response.compaction",
                "created_at": answer.body["created"],
                "output": [compacted],
                **openai_responses_object.billed(bill),
            }
        )

"""Describes `/v1/responses` for the OpenAPI document."""

from typing import Any

from api.openapi_chat import DROPPED, LIMITS, ONCE, PRIVACY, RUNNING, STRICT, YOUT, body

_USAGE = {
    "type": ["object", "null"],
    "properties": {
        "input_tokens": {"type": "integer"},
        "input_tokens_details": {"type": "object", "additionalProperties": {"type": "integer"}},
        "output_tokens": {"type": "integer"},
        "output_tokens_details": {"type": "object", "additionalProperties": {"type": "integer"}},
        "total_tokens": {"type": "integer"},
    },
    "description": "What was billed.",
}
_ANSWER = {
    "type": "object",
    "required": ["id", "object", "created_at", "status", "model", "output", "usage", "yout"],
    "properties": {
        "id": {"type": "string", "description": "`resp_…`; also the id of its charge."},
        "object": {"const": "response"},
        "created_at": {"type": "integer"},
        "status": {"enum": ["completed", "incomplete", "failed"]},
        "model": {"type": "string", "description": "The model that answered: what was asked for, or one of `models`."},
        "output": {"type": "array", "items": {"type": "object"}, "description": "Items, as OpenAI has them."},
        "store": {"const": False},
        "usage": _USAGE,
        "yout": YOUT,
    },
}
_COMPACTED = {
    "type": "object",
    "required": ["id", "object", "created_at", "output", "usage", "yout"],
    "properties": {
        "id": {"type": "string", "description": "`resp_…`; also the id of its charge."},
        "object": {"const": "response.compaction"},
        "created_at": {"type": "integer"},
        "output": {"type": "array", "items": {"type": "object"}},
        "usage": _USAGE,
        "yout": YOUT,
    },
}
INPUT: dict[str, Any] = {
    "model": {"type": "string", "examples": ["demo-chat"]},
    "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]},
    "instructions": {"type": ["string", "null"]},
}
RESPONSES: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "OpenAI's Responses, without a store; `stream: true` for server-sent events",
    "description": "This server stores no responses: `previous_response_id`, `conversation`, `prompt`, `background`, "
    "ids of files and references to items are refused with 400. Send the whole `input` each time, with its reasoning.",
    "operationId": "create_response",
    "security": [{"HTTPBearer": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model", "input"],
        {
            **INPUT,
            "stream": {"type": ["boolean", "null"]},
            "max_output_tokens": {"type": ["integer", "null"], "minimum": 16},
            "store": {"type": ["boolean", "null"], "description": "Nothing is stored, whatever it says."},
            **{name: LIMITS[name] for name in ("max_credits", "strict")},
        },
    ),
    "responses": {
        "200": {
            "description": "The response, with what it cost; or a stream of events. The last one has the response",
            "headers": DROPPED,
            "content": {
                "application/json": {"schema": _ANSWER},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "409": RUNNING,
    },
}
COMPACT: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Compact a conversation into one item, without a store",
    "description": "The model writes a summary, which is charged like any answer. `output` has an item of the type "
    "`compaction`: begin the `input` of a response with it. Any model reads it.",
    "operationId": "compact_response",
    "security": [{"HTTPBearer": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model", "input"],
        {
            **INPUT,
            **{name: LIMITS[name] for name in ("max_credits", "strict")},
        },
    ),
    "responses": {
        "200": {
            "description": "The items that stand for the conversation, and what they cost",
            "headers": DROPPED,
            "content": {"application/json": {"schema": _COMPACTED}},
        },
        "409": RUNNING,
    },
}

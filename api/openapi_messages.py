"""Describes `/v1/messages` for the OpenAPI document, because it is served in front of FastAPI."""

from typing import Any

from api.openapi_chat import DROPPED, LIMITS, ONCE, PRIVACY, RUNNING, STRICT, YOUT, body

_BLOCKS = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}
INPUT: dict[str, Any] = {
    "model": {"type": "string", "examples": ["demo-chat"]},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": _BLOCKS},
        },
    },
    "system": {"oneOf": [*_BLOCKS["oneOf"], {"type": "null"}]},
    "tools": {"type": ["array", "null"], "items": {"type": "object", "required": ["name", "input_schema"]}},
    "tool_choice": {"type": ["object", "null"]},
    "thinking": {"type": ["object", "null"]},
    "output_config": {"type": ["object", "null"]},
}
_USAGE = {
    "type": "object",
    "required": ["input_tokens", "output_tokens"],
    "properties": {
        name: {"type": "integer"}
        for name in ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    },
    "description": "What was billed. `input_tokens` excludes what was read from a cache or written to one.",
}
_ANSWER = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage", "yout"],
    "properties": {
        "id": {"type": "string", "description": "`msg_…`; also the id of its charge."},
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": {"type": "string", "description": "The model that answered: what was asked for, or one of `models`."},
        "content": {"type": "array", "items": {"type": "object"}, "description": "As Anthropic has it."},
        "stop_reason": {"type": ["string", "null"]},
        "usage": _USAGE,
        "yout": YOUT,
    },
}
MESSAGES: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Chat, as Anthropic's Messages have it; `stream: true` for server-sent events",
    "description": "For every model that chats. A provider that speaks this wire gets the request as it is, with cache "
    "markers and signatures. Any version in `anthropic-version` is accepted.",
    "operationId": "create_message",
    "security": [{"HTTPBearer": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model", "messages", "max_tokens"],
        {
            **INPUT,
            "max_tokens": {"type": "integer", "minimum": 1},
            "stream": {"type": ["boolean", "null"]},
            "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            "max_credits": LIMITS["max_credits"],
            "strict": LIMITS["strict"],
        },
    ),
    "responses": {
        "200": {
            "description": "The message, with what it cost; or a stream of Anthropic's events that ends with "
            "`message_stop`, or with `error`",
            "headers": DROPPED,
            "content": {
                "application/json": {"schema": _ANSWER},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "409": RUNNING,
    },
}

"""Describes the chat endpoints for the OpenAPI document, because they are served in front of FastAPI."""

from typing import Any

from api import idempotency
from domain.privacy import PrivacyClass

ERROR = {"$ref": "#/components/schemas/Error"}
YOUT = {
    "type": "object",
    "required": ["credits_charged", "balance"],
    "properties": {"credits_charged": {"type": "integer"}, "balance": {"type": "integer"}},
}
_USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "properties": {
        "prompt_tokens": {"type": "integer"},
        "completion_tokens": {"type": "integer"},
        "total_tokens": {"type": "integer"},
        "prompt_tokens_details": {"type": "object", "additionalProperties": {"type": "integer"}},
        "completion_tokens_details": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "description": "What was billed. The details are there when the provider counted them.",
}
_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage", "yout"],
    "properties": {
        "id": {"type": "string", "description": "`chatcmpl-…`; also the id of its charge."},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string", "description": "The model that answered: what was asked for, or one of `models`."},
        "choices": {"type": "array", "items": {"type": "object"}, "description": "As OpenAI has them."},
        "usage": _USAGE,
        "yout": YOUT,
    },
}
STRICT = {
    "name": "x-yout-strict",
    "in": "header",
    "required": False,
    "schema": {"type": ["string", "null"], "enum": ["true", "false", None]},
    "description": "`true`: as `strict` in the body.",
}
PRIVACY = {
    "name": "x-yout-privacy",
    "in": "header",
    "required": False,
    "schema": {"type": ["string", "null"], "enum": ["default", "strict", None]},
    "description": "As `privacy` in the body: the stricter of both counts.",
}
DROPPED = {
    "x-yout-dropped-parameters": {
        "schema": {"type": "string"},
        "description": "Parameters of the request that the model's provider was not sent, with commas between them.",
    },
    "x-yout-route": {
        "schema": {"type": "string"},
        "description": "The class of the route that answered. A stream that is silent for ten seconds has none.",
    },
    "x-yout-privacy-class": {
        "schema": {"type": "string", "enum": [each.value for each in PrivacyClass]},
        "description": "What the provider that answers keeps of the call.",
    },
}
ONCE = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": ["string", "null"], "title": idempotency.HEADER},
    "description": idempotency.DESCRIPTION,
}
_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"type": "string"}, "content": {}},
    },
}
LIMITS = {
    "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
    "max_credits": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "The most that this call may cost. For this server: not sent upstream.",
    },
    "strict": {
        "type": ["boolean", "null"],
        "description": "A parameter that no provider of the model is sent is a 400 `unsupported_parameter`, before "
        "anything is held. Without it such a parameter is dropped, and named in `x-yout-dropped-parameters`.",
    },
    "privacy": {
        "type": ["string", "null"],
        "enum": ["default", "strict", None],
        "description": "`strict`: only routes of the class `zero_retention` answer. A model without one is a 400 "
        "`unsupported_parameter`, before anything is sent or held.",
    },
}
RUNNING = {
    "description": "The same request is still running",
    "content": {"application/json": {"schema": ERROR}},
}


def body(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    """Describe a body. Other fields are allowed: each is sent to the provider, or the answer names it as dropped."""
    schema = {"type": "object", "required": required, "additionalProperties": True, "properties": properties}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


CHAT: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Chat, as OpenAI has it; `stream: true` for server-sent events",
    "operationId": "create_chat_completion",
    "security": [{"HTTPBearer": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model", "messages"],
        {
            "model": {"type": "string", "examples": ["demo-chat"]},
            "messages": _MESSAGES,
            "stream": {"type": ["boolean", "null"]},
            "n": {"type": ["integer", "null"], "minimum": 1},
            **LIMITS,
        },
    ),
    "responses": {
        "200": {
            "description": "The answer, with what it cost; or a stream of chunks that ends with `data: [DONE]`",
            "headers": DROPPED,
            "content": {
                "application/json": {"schema": _ANSWER},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "409": RUNNING,
    },
}
_EVENTS = """A stream of server-sent events, one JSON object each:

- `start` {id, model, held, conversation_id?}: `held` are the credits that are set aside for this call; `id` is also
  that of its charge
- `delta` {text}
- `reasoning` {text}
- `tool_call` {index, id?, name?, arguments?}: parts of one call have one `index`, and `arguments` grow
- `hold` {held}: the call's hold has grown
- `done` {usage, credits_charged, balance, held, finish_reason, conversation_id?}: after the charge has committed
- `error` {code, message, ...}: the last event of a stream that failed, with `usage`, `credits_charged` and `balance`
  where it was charged for what was delivered

Without an account nothing is charged: these are 0, and `anonymous` {limit, used, remaining, resets_at} tells what is
left of the day's messages.

A failure before the first event is an answer with its own status. Lines that begin with `:` are comments.
"""
NATIVE: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Chat as a stream of simple JSON events",
    "description": "Takes OpenAI's other parameters too. `n` is 1. Nothing is saved unless `save` or the account's "
    "`keep_history` says so.",
    "operationId": "stream_chat",
    "security": [{"HTTPBearer": []}, {"APIKeyCookie": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model"],
        {
            "model": {"type": "string", "examples": ["demo-chat"]},
            "message": {"type": ["string", "null"], "description": "One message; or `messages`, not both."},
            "messages": _MESSAGES,
            "save": {
                "type": ["boolean", "null"],
                "description": "Keep this turn. If left out: as its conversation or the account has it.",
            },
            "conversation_id": {
                "type": ["string", "null"],
                "format": "uuid",
                "description": "Continue this conversation: its saved messages come before the new one.",
            },
            "stop_on_disconnect": {
                "type": ["boolean", "null"],
                "description": (
                    "The end of the connection ends the call: what was produced is charged. Without it, a call with an "
                    "`Idempotency-Key` goes on to its end, so that the same request again gets the whole answer."
                ),
            },
            "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
            **LIMITS,
        },
    ),
    "responses": {
        "200": {
            "description": _EVENTS,
            "headers": DROPPED,
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        "409": RUNNING,
    },
}

_TOKENS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}
_VECTOR = {
    "type": "object",
    "required": ["object", "index", "embedding"],
    "properties": {
        "object": {"const": "embedding"},
        "index": {"type": "integer"},
        "embedding": {
            "oneOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}],
            "description": "Numbers; or base64 of 32-bit floats in little-endian order.",
        },
    },
}
_EMBEDDINGS = {
    "type": "object",
    "required": ["object", "data", "model", "usage", "id", "yout"],
    "properties": {
        "object": {"const": "list"},
        "data": {"type": "array", "items": _VECTOR, "description": "One for each input, in the same order."},
        "model": {"type": "string", "description": "The model that answered: what was asked for, or one of `models`."},
        "usage": {
            "type": "object",
            "required": ["prompt_tokens", "total_tokens"],
            "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}},
            "description": "What was billed.",
        },
        "id": {"type": "string", "description": "The id of its charge."},
        "created": {"type": "integer"},
        "yout": YOUT,
    },
}
EMBEDDINGS: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Embeddings, as OpenAI has them",
    "operationId": "create_embeddings",
    "security": [{"HTTPBearer": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model", "input"],
        {
            "model": {"type": "string", "examples": ["demo-embedding"]},
            "input": {
                "description": "A text, an array of texts, an array of tokens, or an array of such arrays. At most "
                "2,048 inputs, none of them empty.",
                "oneOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "string", "minLength": 1}},
                    _TOKENS,
                    {"type": "array", "minItems": 1, "maxItems": 2048, "items": _TOKENS},
                ],
            },
            "encoding_format": {"type": ["string", "null"], "enum": ["float", "base64", None]},
            "dimensions": {"type": ["integer", "null"], "minimum": 1},
            "max_credits": LIMITS["max_credits"],
            "strict": LIMITS["strict"],
        },
    ),
    "responses": {
        "200": {
            "description": "The vectors, with what they cost",
            "headers": DROPPED,
            "content": {"application/json": {"schema": _EMBEDDINGS}},
        },
        "409": RUNNING,
    },
}
_TEXT_CHOICE = {
    "type": "object",
    "required": ["text", "index", "logprobs", "finish_reason"],
    "properties": {
        "text": {"type": "string"},
        "index": {"type": "integer", "description": "That of the prompt times `n`, and that of the choice."},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": {"type": ["string", "null"]},
    },
}
COMPLETIONS: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Text completions, OpenAI's legacy endpoint; `stream: true` for server-sent events",
    "description": "A chat model gets the prompt as one message. `suffix`, `echo`, `best_of`, several prompts and "
    "arrays of tokens need a provider that has this endpoint; elsewhere they are 400 `unsupported_parameter`.",
    "operationId": "create_completion",
    "security": [{"HTTPBearer": []}],
    "parameters": [ONCE, STRICT, PRIVACY],
    "requestBody": body(
        ["model", "prompt"],
        {
            "model": {"type": "string", "examples": ["demo-chat"]},
            "prompt": {
                "oneOf": [
                    {"type": "string"},
                    {"type": "array", "minItems": 1, "items": {"type": "string"}},
                    _TOKENS,
                    {"type": "array", "minItems": 1, "items": _TOKENS},
                ]
            },
            "stream": {"type": ["boolean", "null"]},
            "n": {"type": ["integer", "null"], "minimum": 1},
            "best_of": {"type": ["integer", "null"], "minimum": 0},
            "echo": {"type": ["boolean", "null"]},
            "suffix": {"type": ["string", "null"]},
            "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
            "max_tokens": {"type": ["integer", "null"], "minimum": 0, "default": 16},
            "max_credits": LIMITS["max_credits"],
            "strict": LIMITS["strict"],
        },
    ),
    "responses": {
        "200": {
            "description": "The answer, with what it cost; or a stream of chunks that ends with `data: [DONE]`",
            "headers": DROPPED,
            "content": {
                "application/json": {
                    "schema": {
                        **_ANSWER,
                        "properties": {
                            **_ANSWER["properties"],
                            "id": {"type": "string", "description": "`cmpl-…`; also the id of its charge."},
                            "object": {"const": "text_completion"},
                            "choices": {"type": "array", "items": _TEXT_CHOICE},
                        },
                    }
                },
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "409": RUNNING,
    },
}

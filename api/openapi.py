"""The OpenAPI document: what FastAPI knows, and the endpoint that is served below it."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import idempotency

DESCRIPTION = """
One OpenAI-compatible API and one prepaid credit pool in front of every model. Point an OpenAI SDK at `/v1`.

Errors are OpenAI's envelope everywhere: `{"error": {"message", "type", "param", "code"}}`. Paths are accepted with
and without the trailing slash. Every answer carries `x-request-id`.
"""
_ERROR = {"$ref": "#/components/schemas/Error"}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
                "required": {"type": "integer", "description": "With 402, as the next three: credits that it takes."},
                "available": {"type": "integer"},
                "held": {"type": "integer"},
                "limit_source": {"enum": ["balance", "key_budget", "max_credits", "daily_allowance"]},
            },
        }
    },
}
_YOUT = {
    "type": "object",
    "required": ["credits_charged", "balance"],
    "properties": {"credits_charged": {"type": "integer"}, "balance": {"type": "integer"}},
}
_ANSWER = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage", "yout"],
    "properties": {
        "id": {"type": "string", "description": "`chatcmpl-…`; also the id of its charge."},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string", "description": "As it was asked for."},
        "choices": {"type": "array", "items": {"type": "object"}, "description": "As OpenAI has them."},
        "usage": {
            "type": "object",
            "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
            "properties": {
                "prompt_tokens": {"type": "integer"},
                "completion_tokens": {"type": "integer"},
                "total_tokens": {"type": "integer"},
            },
            "description": "What was billed.",
        },
        "yout": _YOUT,
    },
}
_ONCE = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": ["string", "null"], "title": idempotency.HEADER},
    "description": idempotency.DESCRIPTION,
}
_CONFLICT = "Another request had this Idempotency-Key, or the answer to the same one cannot be given again"
_CHAT = {
    "tags": ["chat"],
    "summary": "Chat, as OpenAI has it; `stream: true` for server-sent events",
    "operationId": "create_chat_completion",
    "security": [{"HTTPBearer": []}],
    "parameters": [_ONCE],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model", "messages"],
                    "additionalProperties": True,
                    "properties": {
                        "model": {"type": "string", "examples": ["demo-chat"]},
                        "messages": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["role"],
                                "properties": {"role": {"type": "string"}, "content": {}},
                            },
                        },
                        "stream": {"type": ["boolean", "null"]},
                        "max_tokens": {"type": ["integer", "null"], "minimum": 1},
                        "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
                        "n": {"type": ["integer", "null"], "minimum": 1},
                        "max_credits": {
                            "type": ["integer", "null"],
                            "minimum": 1,
                            "description": "The most that this call may cost. For this server: not sent upstream.",
                        },
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "The answer, with what it cost; or a stream of chunks that ends with `data: [DONE]`",
            "content": {
                "application/json": {"schema": _ANSWER},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        "409": {
            "description": "The same request is still running",
            "content": {"application/json": {"schema": _ERROR}},
        },
    },
}
_FAILURES = {
    "400": "The request is not valid",
    "401": "No valid API key",
    "402": "The balance cannot cover the call; nothing was sent",
    "403": "The key lacks the scope",
    "404": "There is no such thing here",
    "413": "The body is too large",
    "429": "Too many requests",
    "500": "Something went wrong here",
    "502": "The provider failed",
    "503": "A part of this server is away",
    "504": "The provider did not answer in time",
}
_OPEN: dict[str, dict[str, str]] = {"/healthz": {}, "/readyz": {}, "/metrics": {"503": _FAILURES["503"]}}
"""What needs no key fails in few ways; `/readyz` describes its own 503."""


def document(app: FastAPI) -> dict[str, Any]:
    """Made once, then kept on the app."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        made["paths"]["/v1/chat/completions"] = {"post": _CHAT}
        components = made.setdefault("components", {})
        components.setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
        for path, item in made["paths"].items():
            for operation in item.values():
                _with_failures(operation, _OPEN.get(path, _FAILURES))
        app.openapi_schema = made
    return app.openapi_schema


def _with_failures(operation: dict[str, Any], failures: dict[str, str]) -> None:
    operation["responses"].pop("422", None)
    once = any(parameter["name"] == idempotency.HEADER for parameter in operation.get("parameters", ()))
    for status, description in (failures | ({"422": _CONFLICT} if once else {})).items():
        content = {"application/json": {"schema": _ERROR}}
        operation["responses"].setdefault(status, {"description": description, "content": content})

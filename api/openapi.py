"""The OpenAPI document: FastAPI's routes, and the client wires that are served in front of FastAPI."""

import asyncio
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from api import chat, idempotency
from api.deps import Callers, callers_of
from api.openapi_chat import ERROR
from api.wire.base import ClientWire

_SHIPPED = Path(__file__).parent.parent / "docs" / "openapi.json"
DESCRIPTION = """
One OpenAI-compatible API and one prepaid credit pool in front of every model. Point an OpenAI SDK at `/v1`.

Errors are OpenAI's envelope everywhere: `{"error": {"message", "type", "param", "code"}}`. Paths are accepted with
and without the trailing slash. Every answer carries `x-request-id`.
"""
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
                "required": {
                    "type": "integer",
                    "description": "With 402, as the next three: credits (messages) it takes.",
                },
                "available": {"type": "integer"},
                "held": {"type": "integer"},
                "limit_source": {"enum": ["balance", "key_budget", "max_credits", "anonymous_allowance"]},
                "resets_at": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When a visitor may go on, or the budget of the key suffices again.",
                },
            },
        }
    },
}
_CONFLICT = "Another request had this Idempotency-Key, or the answer to the same one cannot be given again"
_FAILURES = {
    "400": "The request is not valid",
    "401": "No valid API key or session",
    "402": "The balance, or the allowance of the day, cannot cover the call; nothing was sent",
    "403": "The key lacks the scope, or a page of another site asks",
    "404": "There is no such thing here",
    "413": "The body is too large",
    "429": "Too many requests",
    "500": "Something went wrong here",
    "502": "The provider failed",
    "503": "A part of this server is away",
    "504": "The provider did not answer in time",
}
_OPEN: dict[str, dict[str, str]] = {
    "/healthz": {},
    "/readyz": {},
    "/c/{slug}": {},
    "/metrics": {"401": "The operator's token is missing", "503": _FAILURES["503"]},
}
"""Paths that need no key, with the errors that they have. `/readyz` describes its own 503."""
_FOR_VISITORS = frozenset({"/api/chat/limit/", "/api/chat/models/", "/api/chat/stream/"})
"""Paths that also answer without an account."""
_FOR_EVERYBODY = {status: _FAILURES[status] for status in ("400", "413", "429", "500", "503")} | {
    "403": "A page of another site asks"
}
"""The errors of sign-in."""


_SCOPES_PAGE = """# Who may call what

Made by `yout openapi --scopes` from the OpenAPI document, whose operations say the same in `x-yout-scope` and
`x-yout-callers`. A key without the scope is answered with 403 `insufficient_scope`. A session is a browser in which the
owner of the account is signed in; a visitor has no account.

| operation | scope of a key | callers |
|---|---|---|
"""


class ShippedDocument:
    """`/openapi.json`, read once. To make it anew takes half a second of computing, which anybody could ask for."""

    def __init__(self) -> None:
        self._written: bytes | None = None

    async def answer(self, _: Request) -> Response:
        if self._written is None:
            self._written = await asyncio.to_thread(lambda: orjson.dumps(orjson.loads(_SHIPPED.read_bytes())))
        return Response(self._written, media_type="application/json")


def document(app: FastAPI, wires: Iterable[ClientWire]) -> dict[str, Any]:
    """Return the document. It is made once and kept on the app."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        schema["paths"] |= {wire.path: {"post": deepcopy(wire.operation)} for wire in wires}
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
        for path, item in schema["paths"].items():
            for operation in item.values():
                _with_failures(operation, _failures(path, operation))
                _with_callers(path, operation)
        _with_scopes(schema["paths"], app.routes, wires)
        app.openapi_schema = schema
    return app.openapi_schema


def _with_scopes(paths: dict[str, Any], routes: Iterable[BaseRoute], wires: Iterable[ClientWire]) -> None:
    """Say of each operation who may call it: what its dependencies, or the chat endpoints, enforce."""
    enforced: dict[tuple[str, str], Callers | None] = {}
    for context in iter_route_contexts(list(routes)):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                enforced[route.path_format, method.lower()] = callers_of(route.dependant)
    enforced |= {(wire.path, "post"): Callers(chat.SCOPE, visitors=wire.path in _FOR_VISITORS) for wire in wires}
    for path, item in paths.items():
        for method, operation in item.items():
            callers = enforced[path, method]
            operation["x-yout-scope"] = callers.scope if callers else None
            operation["x-yout-callers"] = _names(path, callers)


def _names(path: str, callers: Callers | None) -> list[str]:
    if callers is None:
        return ["anybody"]
    who = {"key": callers.keys, "session": path.startswith("/api/"), "visitor": callers.visitors}
    return [name for name, permitted in who.items() if permitted]


def scope_table(document: dict[str, Any]) -> str:
    """Write who may call what as a page: docs/scopes.md."""
    rows = [
        f"| `{method.upper()} {path}` | {_cell(operation)} | {', '.join(operation['x-yout-callers'])} |"
        for path, item in sorted(document["paths"].items())
        for method, operation in sorted(item.items())
    ]
    return _SCOPES_PAGE + "\n".join(rows) + "\n"


def _cell(operation: dict[str, Any]) -> str:
    if "key" not in operation["x-yout-callers"]:
        return "-"
    return f"`{operation['x-yout-scope']}`" if operation["x-yout-scope"] else "any"


def _failures(path: str, operation: dict[str, Any]) -> dict[str, str]:
    if path.startswith("/api/auth/") and "security" not in operation:
        return _FOR_EVERYBODY | ({"401": "The address or the password is wrong"} if path.endswith("/login/") else {})
    return _OPEN.get(path, _FAILURES)


def _with_callers(path: str, operation: dict[str, Any]) -> None:
    """Leave the cookie out where only a key counts. Tell where neither is needed."""
    if path in _FOR_VISITORS and {} not in operation["security"]:
        operation["security"].append({})
    if not path.startswith("/api/") and "security" in operation:
        operation["security"] = [way for way in operation["security"] if "APIKeyCookie" not in way]


def _with_failures(operation: dict[str, Any], failures: dict[str, str]) -> None:
    operation["responses"].pop("422", None)
    once = any(parameter["name"] == idempotency.HEADER for parameter in operation.get("parameters", ()))
    for status, description in (failures | ({"422": _CONFLICT} if once else {})).items():
        content = {"application/json": {"schema": ERROR}}
        operation["responses"].setdefault(status, {"description": description, "content": content})

"""Reading JSON bodies: strictly, without echoing anything, and never with a 500."""

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive

from domain.errors import RequestInvalid, ServiceUnavailable

SHALLOW = 200
"""With no more brackets than these, nothing is nested too deeply."""


async def read(receive: Receive) -> bytes:
    """The whole body. The edge has bounded its size and patience."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ServiceUnavailable("The client left before its request was whole.")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def json_object(raw: bytes) -> dict[str, Any]:
    """Refuses what `json.loads` lets through: NaN, lone surrogates, trailing bytes, endless nesting."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise RequestInvalid("The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object.", code="invalid_type")
    if raw.count(b"[") + raw.count(b"{") > SHALLOW:
        _refuse_depth(body)
    return body


def _refuse_depth(body: dict[str, Any]) -> None:
    """What orjson could not write again, nobody could pass on, nor walk through."""
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise RequestInvalid("The request body is nested too deeply.", code="invalid_json") from None


class _StrictRequest(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())  # its error is a json.JSONDecodeError, which FastAPI answers with 400


class StrictRoute(APIRoute):
    """A FastAPI route whose body is read by orjson."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict

"""`/codec/decode`: Temporal's remote codec, so that operators read payloads in Temporal's UI and command line.

Off unless `YOUT_CODEC_TOKENS` names operators. Each use is logged: who, and how many payloads. No content is.
"""

from typing import Protocol

import structlog
from fastapi import APIRouter, Request, Response

from api import body
from domain.errors import NotFound
from gateway.operators import Operators

MAX_BODY_BYTES = 8 * 1024 * 1024
"""A history's payloads, in base64. Temporal itself refuses a payload above 2 MiB."""

log = structlog.get_logger(__name__)


class Decoded(Protocol):
    @property
    def body(self) -> bytes: ...
    @property
    def payloads(self) -> int: ...


class Decoder(Protocol):
    async def decode(self, body: bytes) -> Decoded:
        """Raises `RequestInvalid`."""


class CodecServer:
    def __init__(self, operators: Operators, decoder: Decoder) -> None:
        self._operators = operators
        self._decoder = decoder

    async def decode(self, request: Request, token: str) -> Response:
        if not self._operators:
            raise NotFound("There is nothing here.")
        operator = self._operators.named(token)
        given = await body.read(request.receive, max_bytes=MAX_BODY_BYTES)
        decoded = await self._decoder.decode(given)
        log.info("payloads decoded for an operator", operator=operator, payloads=decoded.payloads)
        return Response(decoded.body, media_type="application/json", headers={"cache-control": "no-store"})


router = APIRouter(prefix="/codec", include_in_schema=False)


@router.post("/decode")
async def decode(request: Request) -> Response:
    """Decrypt payloads for whoever has an operator's token in `Authorization`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return await _server(request).decode(request, token.strip() if scheme.lower() == "bearer" else "")


@router.post("/{token}/decode")
async def decode_for_browser(token: str, request: Request) -> Response:
    """The same for Temporal's UI: a browser there sends no header of an operator's own."""
    return await _server(request).decode(request, token)


def _server(request: Request) -> CodecServer:
    server: CodecServer = request.app.state.codec
    return server

"""Model calls from request bodies: for the endpoints that make a call, that price one, or that count its input."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import Request

from api import auth, errors, idempotency, privacy
from api.body import body_bytes
from api.resources import Resources
from api.wire import routing_fields
from domain.caller import Caller
from domain.catalog import Modality
from domain.errors import GatewayError, ModelNotFound, RequestInvalid
from domain.privacy import PrivacyClass
from gateway.calls import BIG_BODY
from gateway.wire import ModelCall

Parse = Callable[[dict[str, Any]], ModelCall]
"""`ClientWire.parse`, or what reads the same body of another endpoint."""


def read(parse: Parse, body: dict[str, Any], headers: Mapping[bytes, bytes]) -> ModelCall:
    """Read a body with what every wire takes: models, routes, privacy and `strict`, in the body or a header."""
    rest, wanted = routing_fields.split(privacy.without(body))
    call = parse(rest)
    if wanted is not None:
        call = replace(call, preferences=wanted)
    strict, required = privacy.strict(headers), privacy.required(body, headers)
    if not strict and required is PrivacyClass.UNKNOWN:
        return call
    return replace(call, strict=strict or call.strict, privacy=required)


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a request to a `LargeBodyRoute`."""
    body: dict[str, Any] | None = await request.json()
    if body is None:
        raise RequestInvalid("The request body is not valid JSON.", code="invalid_json")
    return body


async def of_request(resources: Resources, request: Request, body: dict[str, Any], parse: Parse) -> ModelCall:
    """Read the body of a request to a `LargeBodyRoute`, a large one in a thread."""
    big, admitted = body_bytes(request) > BIG_BODY, auth.admitted_before(request.scope)
    reading = partial(read, parse, body, idempotency.named(request.scope["headers"]))
    call = await resources.calls.turns.run_large(big, admitted and admitted.account_id, reading)
    return replace(call, big=big, admitted=admitted)


async def count_input(resources: Resources, request: Request, caller: Caller, parse: Parse) -> int:
    """Count the input of the call in a request's body, however long it is. Nothing is held, and nothing is sent."""
    call = await of_request(resources, request, await json_object(request), parse)
    with in_the_words_of(call):
        model = resources.calls.selection.model(call.model)
        if not caller.may_call(model.id):
            raise ModelNotFound(call.model)
        if model.modality is not Modality.TEXT:
            raise RequestInvalid(f"The model '{model.id}' does not chat: it makes {model.modality}.", param="model")
        return (await resources.calls.inputs.of(call, model)).count


@contextmanager
def in_the_words_of(call: ModelCall) -> Iterator[None]:
    """Let an error name the field as the client wrote it, where the gateway has another name for it."""
    try:
        yield
    except GatewayError as error:
        errors.rename(error, call.as_written)
        raise

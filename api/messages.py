"""`POST /v1/messages/count_tokens`: how many input tokens a request of Anthropic's Messages has. It is free.

`/v1/messages` itself is a client wire: `api/wire/anthropic_messages.py`.
"""

from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import auth
from api.body import LargeBodyRoute, body_bytes
from api.deps import CurrentResources, MayChat
from api.openapi_chat import body
from api.openapi_messages import INPUT
from api.wire import anthropic_messages_request as wire
from domain.errors import ModelNotFound, RequestInvalid
from gateway.calls import BIG_BODY

router = APIRouter(prefix="/v1/messages", tags=["chat"], route_class=LargeBodyRoute)


class InputCount(BaseModel):
    input_tokens: int
    """By our own count, which may differ from that of the model's provider."""


@router.post("/count_tokens", openapi_extra={"requestBody": body(["model", "messages"], INPUT)})
async def count_tokens(request: Request, caller: MayChat, resources: CurrentResources) -> InputCount:
    """Count the input of a request, as `/v1/messages` takes it but for `max_tokens`. Nothing is sent or charged."""
    parsed = await request.json()
    if parsed is None:
        raise RequestInvalid("The request body is not valid JSON.", code="invalid_json")
    big, admitted = body_bytes(request) > BIG_BODY, auth.admitted_before(request.scope)
    owner = admitted.account_id if admitted else None
    call = await resources.calls.turns.run_large(big, owner, partial(wire.read, parsed))
    model = resources.calls.model(call.model)
    if not caller.may_call(model.id):
        raise ModelNotFound(call.model)
    call = replace(call, big=big, admitted=admitted)
    return InputCount(input_tokens=(await resources.calls.input_tokens(call, model)).count)

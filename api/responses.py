"""What goes with `POST /v1/responses`: counting the input. `stored_objects` answers for what would be stored."""

from dataclasses import replace
from functools import partial
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import auth
from api.body import LargeBodyRoute, body_bytes
from api.chat import in_the_words_of
from api.deps import CurrentResources, MayChat
from api.wire import openai_responses
from domain.errors import ModelNotFound, RequestInvalid
from gateway.calls import BIG_BODY

counting = APIRouter(prefix="/v1/responses", tags=["chat"], route_class=LargeBodyRoute)
_BODY = {
    "description": "The body of `POST /v1/responses`",
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["model", "input"],
                "additionalProperties": True,
                "properties": {"model": {"type": "string", "examples": ["demo-chat"]}, "input": {}},
            }
        }
    },
}


class InputTokens(BaseModel):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int
    """This server's own estimate. The provider may count otherwise."""


@counting.post("/input_tokens", openapi_extra={"requestBody": _BODY})
async def count_input(request: Request, caller: MayChat, resources: CurrentResources) -> InputTokens:
    """Count the input of a response. Nothing is held, and nothing is sent to a provider."""
    parsed = await request.json()
    if parsed is None:
        raise RequestInvalid("The request body is not valid JSON.", code="invalid_json")
    big, admitted = body_bytes(request) > BIG_BODY, auth.admitted_before(request.scope)
    owner = admitted.account_id if admitted else None
    call = await resources.calls.turns.run_large(big, owner, partial(openai_responses.parse, parsed))
    call = replace(call, big=big, admitted=admitted)
    with in_the_words_of(call):
        _, model, terms = await resources.calls.priced(call)
    if not caller.may_call(model.id):
        raise ModelNotFound(model.id)
    return InputTokens(input_tokens=terms.input_count)

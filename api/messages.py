"""`POST /v1/messages/count_tokens`: how many input tokens a request of Anthropic's Messages has. It is free.

`/v1/messages` itself is a client wire: `api/wire/anthropic_messages.py`.
"""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import model_calls
from api.body import LargeBodyRoute
from api.deps import CurrentResources, MayChat
from api.openapi_chat import body
from api.openapi_messages import INPUT
from api.wire import anthropic_messages_request

router = APIRouter(prefix="/v1/messages", tags=["chat"], route_class=LargeBodyRoute)


class InputCount(BaseModel):
    input_tokens: int
    """By our own count, which may differ from that of the model's provider."""


@router.post("/count_tokens", openapi_extra={"requestBody": body(["model", "messages"], INPUT)})
async def count_tokens(request: Request, caller: MayChat, resources: CurrentResources) -> InputCount:
    """Count the input of a request, as `/v1/messages` takes it but for `max_tokens`. Nothing is sent or charged."""
    counted = await model_calls.count_input(resources, request, caller, anthropic_messages_request.read)
    return InputCount(input_tokens=counted)

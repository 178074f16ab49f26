"""What goes with `POST /v1/responses`: counting the input. `stored_objects` answers for what would be stored."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import model_calls
from api.body import LargeBodyRoute
from api.deps import CurrentResources, MayChat
from api.openapi_chat import body
from api.openapi_responses import INPUT
from api.wire import openai_responses

counting = APIRouter(prefix="/v1/responses", tags=["chat"], route_class=LargeBodyRoute)


class InputTokens(BaseModel):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int
    """This server's own estimate. The provider may count otherwise."""


@counting.post("/input_tokens", openapi_extra={"requestBody": body(["model", "input"], INPUT)})
async def count_input(request: Request, caller: MayChat, resources: CurrentResources) -> InputTokens:
    """Count the input of a response. Nothing is held, and nothing is sent to a provider."""
    counted = await model_calls.count_input(resources, request, caller, openai_responses.parse)
    return InputTokens(input_tokens=counted)

"""What goes with `POST /v1/responses`: counting the input. This server stores no responses: none is found by its id."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import model_calls
from api.body import LargeBodyRoute
from api.deps import CurrentResources, MayChat
from api.openapi_chat import body
from api.openapi_responses import INPUT
from api.wire import openai_responses
from domain.errors import NotFound

router = APIRouter(prefix="/v1/responses", tags=["chat"])
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


@router.get("/{response_id}", include_in_schema=False)
@router.delete("/{response_id}", include_in_schema=False)
@router.post("/{response_id}/cancel", include_in_schema=False)
@router.get("/{response_id}/input_items", include_in_schema=False)
async def find_response(response_id: str, caller: MayChat) -> None:
    raise NotFound("This server stores no responses: none is found by its id.")

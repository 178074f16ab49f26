"""Endpoints for what OpenAI and Anthropic store for their users. This server stores none of it, and says so."""

from fastapi import APIRouter

from api.deps import MayChat
from domain.errors import NotFound

router = APIRouter(prefix="/v1", include_in_schema=False)


@router.get("/responses/{response_id}")
@router.delete("/responses/{response_id}")
@router.post("/responses/{response_id}/cancel")
@router.get("/responses/{response_id}/input_items")
async def find_response(response_id: str, caller: MayChat) -> None:
    raise NotFound("This server stores no responses: none is found by its id.")


@router.get("/chat/completions/{completion_id}")
@router.post("/chat/completions/{completion_id}")
@router.delete("/chat/completions/{completion_id}")
@router.get("/chat/completions/{completion_id}/messages")
async def find_completion(completion_id: str, caller: MayChat) -> None:
    raise NotFound("This server stores no chat completions: none is found by its id.")


@router.get("/messages/batches")
@router.post("/messages/batches")
@router.get("/messages/batches/{batch_id}")
@router.delete("/messages/batches/{batch_id}")
@router.post("/messages/batches/{batch_id}/cancel")
@router.get("/messages/batches/{batch_id}/results")
@router.get("/batches")
@router.post("/batches")
@router.get("/batches/{batch_id}")
@router.post("/batches/{batch_id}/cancel")
async def find_batch(caller: MayChat, batch_id: str = "") -> None:
    raise NotFound("This server takes no batches: send each request by itself.")

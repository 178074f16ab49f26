"""`GET /v1/models` and `/v1/models/{id}`: the active models that the caller's key may call.

In OpenAI's shape and OpenRouter's names; for a client that sends `anthropic-version`, in Anthropic's shape.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from api.deps import CurrentResources, MayListModels
from api.wire import anthropic_models
from api.wire import models as wire
from api.wire.anthropic_messages import is_anthropic
from domain.errors import ModelNotFound

router = APIRouter(prefix="/v1/models", tags=["models"])


class PageQuery(BaseModel):
    """As Anthropic's clients ask for a page. OpenAI's get all models at once."""

    limit: int = Field(20, ge=1, le=1000)
    after_id: str | None = Field(None, repr=False)
    before_id: str | None = Field(None, repr=False)


@router.get("")
async def list_models(
    request: Request, caller: MayListModels, resources: CurrentResources, query: Annotated[PageQuery, Query()]
) -> dict[str, Any]:
    """List models. `limit`, `after_id` and `before_id` are for clients that send `anthropic-version`."""
    catalog = resources.catalog()
    models = [model for model in catalog.active_models() if caller.may_call(model.id)]
    if is_anthropic(request.scope["headers"]):
        return anthropic_models.listing(models, query.limit, query.after_id, query.before_id)
    return wire.listing(models, catalog.exchange)


@router.get("/{model_id:path}")
async def get_model(
    request: Request, model_id: str, caller: MayListModels, resources: CurrentResources
) -> dict[str, Any]:
    catalog = resources.catalog()
    model = catalog.find(model_id)
    if not caller.may_call(model.id):
        raise ModelNotFound(model_id)
    if is_anthropic(request.scope["headers"]):
        return anthropic_models.entry(model)
    return wire.entry(model, catalog.exchange)

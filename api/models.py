"""`GET /v1/models` and `/v1/models/{id}`: the active models that the caller's key may call.

In OpenAI's shape and OpenRouter's names.
"""

from typing import Any

from fastapi import APIRouter

from api.deps import CurrentResources, MayListModels
from api.wire import models as wire
from domain.errors import ModelNotFound

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(caller: MayListModels, resources: CurrentResources) -> dict[str, Any]:
    catalog = resources.catalog()
    models = [model for model in catalog.active_models() if caller.may_call(model.id)]
    return wire.listing(models, catalog.exchange)


@router.get("/{model_id:path}")
async def get_model(model_id: str, caller: MayListModels, resources: CurrentResources) -> dict[str, Any]:
    catalog = resources.catalog()
    model = catalog.find(model_id)
    if not caller.may_call(model.id):
        raise ModelNotFound(model_id)
    return wire.entry(model, catalog.exchange)

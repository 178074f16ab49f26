"""`GET /v1/models` and `/v1/models/{id}`: every active model, in OpenAI's shape and OpenRouter's names."""

from typing import Any

from fastapi import APIRouter

from api.deps import CurrentResources, MayListModels
from api.wire import models as wire

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(_: MayListModels, resources: CurrentResources) -> dict[str, Any]:
    catalog = resources.catalog()
    return wire.listing(catalog.active_models(), catalog.exchange)


@router.get("/{model_id:path}")
async def get_model(model_id: str, _: MayListModels, resources: CurrentResources) -> dict[str, Any]:
    catalog = resources.catalog()
    return wire.entry(catalog.find(model_id), catalog.exchange)

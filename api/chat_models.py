"""`GET /api/chat/models/`: every model, described for people, and whether this caller may call it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.body import StrictRoute
from api.deps import CurrentResources, MayListModelsOrVisitor
from api.wire import media_models
from api.wire.media_models import number
from api.wire.models import OUTPUT_MODALITIES
from db import accounts
from domain import visitors
from domain.caller import Caller, Visitor
from domain.catalog import Modality, Model
from domain.errors import SignInRequired
from domain.meters import Meter, Rates, credits_per_thousand

router = APIRouter(prefix="/api/chat/models", tags=["models"], route_class=StrictRoute)
INACTIVE = "inactive"
_SCOPES = {Modality.TEXT: "chat", Modality.EMBEDDING: "chat"}


class TierPrices(BaseModel):
    """The prices of a whole call whose input is longer than `above` tokens."""

    above: int
    per_1k: dict[str, float]


class VariantPrice(BaseModel):
    values: dict[str, Any]
    per_unit: float


class Prices(BaseModel):
    """The prices of a model, in credits. A kind of price that the model does not have is empty or null."""

    per_1k: dict[str, float]
    """Credits per 1,000, by meter: `input`, `output`, `cached_input` and more. `tiers` is for longer inputs."""
    tiers: list[TierPrices]
    unit: str | None
    per_unit: float | None
    variants: dict[str, float]
    """Prices by size alone, in place of `per_unit`."""
    by_parameters: list[VariantPrice]
    """All prices for certain values of parameters. The one that matches with the most of them applies."""
    per_input_image: float | None
    """For each input image, beside the price per unit."""
    per_1k_prompt_characters: float | None
    """For the prompt, beside the price per unit."""
    reads_inputs_once: bool
    """Whether the two prices above are for the whole job. Else they are for each of its outputs."""


class ChatModel(BaseModel):
    id: str
    name: str
    provider: str
    """The vendor of the model."""
    description: str
    tags: list[str]
    modality: str
    input_modalities: list[str]
    output_modalities: list[str]
    context_window: int | None
    max_output_tokens: int | None
    supported_parameters: list[str]
    """Request fields that the model takes, by their names in OpenAI's API."""
    parameters: dict[str, Any] | None
    """Of a media model: the JSON Schema of a request's fields, beside `model`, `privacy` and input files.

    `x-yout-priced` marks the fields on which the price depends.
    """
    inputs: dict[str, dict[str, Any]]
    """Of a media model: the input files that it takes, by the name of their field."""
    prices: Prices
    privacy: str
    """The class that every call to it has: `unknown`, `retained`, `no_training` or `zero_retention`."""
    zero_retention: bool
    """True if a call with `privacy: "strict"` has a route."""
    pro_only: bool
    enabled: bool
    """True if the caller's scopes, list of models and plan allow it to call the model."""
    disabled_reason: str | None
    """If `enabled` is false: `insufficient_scope`, `model_not_found` (the key's list of models lacks it),
    `pro_required`, `inactive` (this server has no key of a provider for it), or, without an account, `invalid_api_key`.
    """


class ChatModels(BaseModel):
    data: list[ChatModel]


@router.get("/")
async def list_chat_models(
    caller: MayListModelsOrVisitor,
    resources: CurrentResources,
    inactive: Annotated[bool, Query(description="Also those that this server knows and has no provider for.")] = False,
) -> ChatModels:
    catalog = resources.catalog()
    models = tuple(catalog.models.values()) if inactive else catalog.active_models()
    if isinstance(caller.credential, Visitor):
        return ChatModels(data=[_entry(m, _closed(m)) for m in models])
    balance = await accounts.committed_balance(resources.database, caller.account_id)
    return ChatModels(data=[_entry(m, _disabled(m, caller, plan_active=balance.plan_active)) for m in models])


def _closed(model: Model) -> str | None:
    """Say why a visitor may not call a model."""
    if not model.active:
        return INACTIVE
    return None if visitors.may_call(model) else SignInRequired.code


def _disabled(model: Model, caller: Caller, *, plan_active: bool) -> str | None:
    if not model.active:
        return INACTIVE
    if _SCOPES.get(model.modality, "media") not in caller.scopes:
        return "insufficient_scope"
    if not caller.may_call(model.id):
        return "model_not_found"
    return "pro_required" if model.pro_only and not plan_active else None


def _entry(model: Model, disabled: str | None) -> ChatModel:
    return ChatModel(
        id=model.id,
        name=model.name,
        provider=model.vendor,
        description=model.description,
        tags=list(model.tags),
        modality=model.modality.value,
        input_modalities=[kind.value for kind in model.input_modalities],
        output_modalities=[OUTPUT_MODALITIES[model.modality]],
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        supported_parameters=list(model.parameters),
        parameters=None if model.json_schema is None else dict(model.json_schema),
        inputs=media_models.inputs(model),
        prices=_prices(model),
        privacy=model.privacy,
        zero_retention=model.zero_retention,
        pro_only=model.pro_only,
        enabled=disabled is None,
        disabled_reason=disabled,
    )


def _prices(model: Model) -> Prices:
    prices, tokens, per_unit = model.prices, model.prices.tokens, media_models.per_unit(model)
    return Prices(
        per_1k=_per_1k(tokens.rates) if tokens else {},
        tiers=[TierPrices(above=tier.above, per_1k=_per_1k(tier.rates)) for tier in tokens.tiers] if tokens else [],
        unit=prices.unit.value if prices.unit else None,
        per_unit=None if per_unit is None else number(per_unit),
        variants=media_models.by_size(prices),
        by_parameters=[VariantPrice(**variant) for variant in media_models.variants(prices)],
        per_input_image=number(prices.per_input_image) or None,
        per_1k_prompt_characters=number(prices.per_1k_prompt_characters) or None,
        reads_inputs_once=prices.reads_inputs_once,
    )


def _per_1k(rates: Rates) -> dict[str, float]:
    priced = {name: credits_per_thousand(rates, Meter(name)) for name in rates}
    return {name: number(credits) for name, credits in priced.items() if credits is not None}

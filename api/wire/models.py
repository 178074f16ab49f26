"""`GET /v1/models`: OpenAI's shape, our own fields, and the same facts under OpenRouter's names."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from api.wire import media_models
from api.wire.media_models import number
from domain.catalog import ExchangeRate, Modality, Model
from domain.media_prices import Unit
from domain.meters import BASE, Meter, TokenPrices, credits_per_thousand

CREATED = 1_767_225_600
"""The `created` of every model: the catalog does not know it, and clients only need a constant integer."""

_OPENROUTER = {
    Meter.INPUT: "prompt",
    Meter.OUTPUT: "completion",
    Meter.CACHED_INPUT: "input_cache_read",
    Meter.CACHE_WRITE: "input_cache_write",
    Meter.AUDIO_INPUT: "audio",
    Meter.WEB_SEARCH: "web_search",
    Meter.REQUEST: "request",
}
_OPENROUTER_UNITS = {
    Unit.CALL: "request",
    Unit.IMAGE: "image",
    Unit.SECOND: "second",
    Unit.CHARACTERS: "1k_characters",
    Unit.MEGAPIXEL: "megapixel",
}
"""OpenRouter's names for what it prices; those that it has none for are ours."""

OUTPUT_MODALITIES = {
    Modality.TEXT: "text",
    Modality.IMAGE: "image",
    Modality.VIDEO: "video",
    Modality.SPEECH: "audio",
    Modality.TRANSCRIPTION: "text",
    Modality.EMBEDDING: "embeddings",
}


_CHAT = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/completions", "/api/chat/stream/")
ENDPOINTS: Mapping[Modality, tuple[str, ...]] = {
    Modality.TEXT: _CHAT,
    Modality.IMAGE: ("/v1/images/generations", "/api/media/image/"),
    Modality.VIDEO: ("/v1/videos", "/api/media/video/"),
    Modality.SPEECH: ("/v1/audio/speech", "/api/media/speech/"),
    Modality.TRANSCRIPTION: ("/v1/audio/transcriptions", "/api/media/transcription/"),
    Modality.EMBEDDING: ("/v1/embeddings",),
}
"""The endpoints that take a model, by what it makes."""
_EDITS = "/v1/images/edits"


def listing(models: Iterable[Model], exchange: ExchangeRate) -> dict[str, Any]:
    data = [entry(model, exchange) for model in models]
    return {"object": "list", "data": data, "total_count": len(data), "links": {"next": None}}


def entry(model: Model, exchange: ExchangeRate) -> dict[str, Any]:
    return {
        "id": model.id,
        "object": "model",
        "created": CREATED,
        "owned_by": model.vendor,
        "name": model.name,
        "description": model.description,
        "modality": model.modality.value,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        **_per_thousand(model.prices.tokens),
        **media_models.prices(model),
        "price_variants": media_models.variants(model.prices),
        "parameters": model.json_schema,
        "inputs": media_models.inputs(model),
        "pro_only": model.pro_only,
        "privacy": model.privacy.value,
        "zero_retention": model.zero_retention,
        "tags": list(model.tags),
        "supported_parameters": list(model.parameters),
        "canonical_slug": model.id,
        "endpoints": _endpoints(model),
        "context_length": model.context_window,
        "architecture": _architecture(model),
        "pricing": _pricing(model, exchange),
        "top_provider": {
            "context_length": model.context_window,
            "max_completion_tokens": model.max_output_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "default_parameters": None,
        "supported_voices": media_models.voices(model),
        "links": {"details": f"/v1/models/{model.id}"},
    }


def _endpoints(model: Model) -> list[str]:
    edits = model.modality is Modality.IMAGE and model.media and {"image", "reference"} & model.media.inputs.keys()
    return [*ENDPOINTS[model.modality], *((_EDITS,) if edits else ())]


def _per_thousand(prices: TokenPrices | None) -> dict[str, int | float | None]:
    """Return the prices per 1,000 of the meters that every model has, and of others that this one prices."""
    priced: dict[str, int | float | None] = {f"credits_per_1k_{meter}": None for meter in BASE}
    if prices is not None:
        for name in prices.rates:
            credits = credits_per_thousand(prices.rates, Meter(name))
            priced[f"credits_per_1k_{name}"] = None if credits is None else number(credits)
    return priced


def _architecture(model: Model) -> dict[str, Any]:
    reads, makes = [kind.value for kind in model.input_modalities], OUTPUT_MODALITIES[model.modality]
    return {
        "modality": f"{'+'.join(reads)}->{makes}",
        "input_modalities": reads,
        "output_modalities": [makes],
        "tokenizer": "Other",
        "instruct_type": None,
    }


def _pricing(model: Model, exchange: ExchangeRate) -> dict[str, str]:
    """Return prices as OpenRouter does: decimal strings, in dollars per token, per request, per image."""
    pricing, prices = {"prompt": "0", "completion": "0", "request": "0", "image": "0"}, model.prices
    for meter, name in _OPENROUTER.items():
        credits = credits_per_thousand(prices.tokens.rates, meter) if prices.tokens else None
        if credits is not None:
            pricing[name] = _usd(credits / 1000, exchange)
    per_unit = media_models.per_unit(model)
    if prices.unit is not None and per_unit is not None:
        pricing[_OPENROUTER_UNITS[prices.unit]] = _usd(per_unit, exchange)
    return pricing


def _usd(credits: Decimal, exchange: ExchangeRate) -> str:
    return f"{exchange.usd(credits).normalize():f}"

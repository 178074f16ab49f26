"""Checks what a request asks for beside text: the model must have a price for its meter, or it is refused."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from domain import meters, pricing
from domain.catalog import InputModality, Model
from domain.errors import RequestInvalid
from domain.meters import Meter, TokenPrices
from gateway.wire import ModelCall

STANDARD_TIERS = (None, "auto", "default")
_TIER_NAMES = {"fast": "priority"}
"""Names that providers take for another."""
OUTPUT_METERS: Mapping[str, Meter | None] = {
    "text": None,
    "audio": Meter.AUDIO_OUTPUT,
    "image": Meter.IMAGE_OUTPUT,
}
"""The meters of the values of `modalities`."""
PART_MODALITIES: Mapping[str, InputModality] = {
    "image_url": InputModality.IMAGE,
    "input_image": InputModality.IMAGE,
    "image": InputModality.IMAGE,
    "image_embeds": InputModality.IMAGE,
    "image_pil": InputModality.IMAGE,
    "input_audio": InputModality.AUDIO,
    "audio_url": InputModality.AUDIO,
    "audio": InputModality.AUDIO,
    "audio_embeds": InputModality.AUDIO,
    "file": InputModality.FILE,
    "input_file": InputModality.FILE,
    "document": InputModality.FILE,
    "document_url": InputModality.FILE,
    "video_url": InputModality.VIDEO,
    "input_video": InputModality.VIDEO,
    "video": InputModality.VIDEO,
}
"""What a model must read to take a part of this type, or with such a field."""
TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "thinking", "redacted_thinking", "reasoning"})
"""Types of parts that are nothing but text. What another one costs is not known: `passes` may name it."""
_INPUT_METERS = {
    InputModality.AUDIO: (Meter.AUDIO_INPUT,),
    InputModality.IMAGE: (Meter.IMAGE_INPUT,),
    InputModality.VIDEO: (Meter.AUDIO_INPUT, Meter.IMAGE_INPUT),
}
"""What may be counted of a part: a video has a sound track too."""
UNPRICED_FIELDS = frozenset(
    {"web_search", "plugins", "moderation", "best_of", "speed", "inference_geo", "models", "route", "preset"}
    | {"transforms", "search_parameters", "search_settings", "search_options", "enable_search", "chat_template"}
)
"""Fields whose cost no meter has, or that let another model answer. A catalog entry may allow them by `passes`."""
ALLOWED_VALUES: Mapping[str, tuple[Any, ...]] = {"plugins": ([],), "best_of": (1,), "enable_search": (False,)}
"""Values of unpriced fields that cost nothing, and are allowed."""


def prices_of(model: Model, body: Mapping[str, Any], native: Mapping[str, Any] | None = None) -> TokenPrices:
    """Return the prices by which a call with this body is held and billed: the rates of every meter that it can use.

    `native` is the body in its client's own shape, where a provider may be sent that. Raises `RequestInvalid` that
    names what the model does not price, or does not read.
    """
    prices, text = model.prices.tokens, model.prices.text
    if prices is None or text is None:
        raise RequestInvalid(f"The model '{model.id}' does not chat: it makes {model.modality}.", param="model")
    _check_fields(model, body)
    wanted = {*_input_meters(model, body), *_output_meters(body)}
    if native is not None and _writes_for_an_hour_within(native):
        wanted.add(Meter.CACHE_WRITE_1H)
    if searches(body):
        _check_priced(prices, Meter.WEB_SEARCH, "web_search_options")
        wanted.add(Meter.WEB_SEARCH)
    for meter, name in ((Meter.AUDIO_OUTPUT, "audio"), (Meter.AUDIO_OUTPUT, "modalities")):
        if meter in wanted and body.get(name) is not None:
            _check_priced(prices, meter, name)
    if Meter.IMAGE_OUTPUT in wanted:
        _check_priced(prices, Meter.IMAGE_OUTPUT, "modalities")
    tier = _priced_tier(prices, body)
    return prices.requested(tier).limited_to(frozenset(wanted)) if wanted or tier else text


def left_out(model: Model, request: ModelCall) -> ModelCall:
    """Return the request without a search that it can do without, and that this model has no price for."""
    name = "web_search_options"
    prices = model.prices.tokens
    if (
        name not in request.optional & request.body.keys()
        or prices is None
        or request.strict
        or prices.priced(Meter.WEB_SEARCH)
    ):
        return request
    body = {field: value for field, value in request.body.items() if field != name}
    return replace(request, body=body, left_out=(request.as_written(name),))


def searches(body: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for the provider's own web search."""
    return _object(body, "web_search_options") is not None


def reread(model: Model, request: ModelCall) -> int:
    """Return the most input tokens of a call whose model reads it again after each search; 0 for any other call.

    Each reading fills the context window at most.
    """
    if not searches(request.body) or not any(route.rereads for route in model.routes):
        return 0
    readings = meters.searches(request.max_searches) + 1
    return min((model.context_window or pricing.MAX_TOKENS) * readings, pricing.MAX_TOKENS)


def _check_fields(model: Model, body: Mapping[str, Any]) -> None:
    for name in UNPRICED_FIELDS & body.keys():
        value = body[name]
        if value is None or value in ALLOWED_VALUES.get(name, ()):
            continue
        if not all(name in route.passes for route in model.routes):
            raise _unpriced(name)


def _check_priced(prices: TokenPrices, meter: Meter, name: str) -> None:
    if not prices.priced(meter):
        raise _unpriced(name)


def _unpriced(name: str) -> RequestInvalid:
    return RequestInvalid(
        f"'{name}' is not priced here for this model: leave it out, or choose another model.",
        param=name,
        code="unsupported_parameter",
    )


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestInvalid(f"'{name}' must be an object.", param=name, code="invalid_type")
    return value


def service_tier(prices: TokenPrices, body: Mapping[str, Any]) -> str | None:
    """The tier that a request asks for, as these prices name it. None: the standard one, or one that they lack."""
    tier = body.get("service_tier")
    if tier in STANDARD_TIERS or not isinstance(tier, str):
        return None
    return next((name for name in (tier, _TIER_NAMES.get(tier, tier)) if name in prices.service_tiers), None)


def _priced_tier(prices: TokenPrices, body: Mapping[str, Any]) -> str | None:
    tier = body.get("service_tier")
    if tier in STANDARD_TIERS:
        return None
    if not isinstance(tier, str):
        raise RequestInvalid("'service_tier' must be a string.", param="service_tier", code="invalid_type")
    if (name := service_tier(prices, body)) is not None:
        return name
    *names, last = (f"'{name}'" for name in ("auto", *prices.service_tiers, "default"))
    priced = f"{', '.join(names)} or {last}"
    raise RequestInvalid(
        f"'service_tier' other than {priced} is not priced here.", param="service_tier", code="unsupported_parameter"
    )


def _output_meters(body: Mapping[str, Any]) -> Iterator[Meter]:
    if _object(body, "audio") is not None:
        yield Meter.AUDIO_OUTPUT
    modalities = body.get("modalities")
    if modalities is None:
        return
    if not isinstance(modalities, list) or not all(isinstance(name, str) for name in modalities):
        raise RequestInvalid("'modalities' must be an array of strings.", param="modalities", code="invalid_type")
    for name in modalities:
        if name not in OUTPUT_METERS:
            raise _unpriced("modalities")
        meter = OUTPUT_METERS[name]
        if meter is not None:
            yield meter


def _input_meters(model: Model, body: Mapping[str, Any]) -> Iterator[Meter]:
    tools = [*(body.get("tools") or ()), *(body.get("functions") or ())]
    if _cached_for_an_hour(body) or any(map(_writes_for_an_hour, tools)):
        yield Meter.CACHE_WRITE_1H
    for index, message in enumerate(body.get("messages") or ()):
        if _writes_for_an_hour(message):
            yield Meter.CACHE_WRITE_1H
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            for place, part in enumerate(content):
                yield from _part_meters(model, part, f"messages[{index}].content[{place}]")


def _part_meters(model: Model, part: object, where: str) -> Iterator[Meter]:
    if not isinstance(part, dict):
        return
    if _writes_for_an_hour(part):
        yield Meter.CACHE_WRITE_1H
    modalities, kind = _modalities(part), part.get("type")
    if not (modalities or kind is None or kind in TEXT_PARTS or _pass(model, kind)):
        raise RequestInvalid(
            f"'{where}.type' is not a type that the model '{model.id}' reads.",
            param=f"{where}.type",
            code="invalid_value",
        )
    for modality in modalities:
        yield from _modality_meters(model, modality, where)


def _pass(model: Model, kind: object) -> bool:
    """Tell whether `passes` allows parts of this type on each route of the model."""
    return all(kind in route.passes or "*" in route.passes for route in model.routes)


def _modalities(part: Mapping[str, Any]) -> set[InputModality]:
    """Return what a model must read to take the part, by its type and its fields: some servers use the fields only."""
    names = (str(part.get("type")), *part)
    return {PART_MODALITIES[name] for name in names if name in PART_MODALITIES}


def _modality_meters(model: Model, modality: InputModality, where: str) -> Iterator[Meter]:
    if modality not in model.input_modalities:
        raise RequestInvalid(
            f"'{where}' is {_named(modality)}, which the model '{model.id}' does not read.",
            param=where,
            code="invalid_value",
        )
    yield from _INPUT_METERS.get(modality, ())


def _named(modality: InputModality) -> str:
    return f"an {modality} part" if modality.value[0] in "aeiou" else f"a {modality} part"


def _writes_for_an_hour(value: object) -> bool:
    """A message, a tool or a part, or what is directly within: servers read the wish in each of these places."""
    if not isinstance(value, dict):
        return False
    fields = [field for field in value.values() if isinstance(field, dict | list)]
    if not fields:
        return False
    inner = [each for field in fields for each in (field if isinstance(field, list) else (field,))]
    return _cached_for_an_hour(value) or any(map(_cached_for_an_hour, inner))


def _writes_for_an_hour_within(value: object) -> bool:
    """Look for the wish at any depth."""
    if isinstance(value, list):
        return any(map(_writes_for_an_hour_within, value))
    return isinstance(value, dict) and (
        _cached_for_an_hour(value) or any(map(_writes_for_an_hour_within, value.values()))
    )


def _cached_for_an_hour(part: object) -> bool:
    control = part.get("cache_control") if isinstance(part, dict) else None
    return isinstance(control, dict) and control.get("ttl") == "1h"

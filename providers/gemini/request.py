"""Writes the body of a request, with an allow-list of the caller's fields. Nothing about the caller is sent."""

from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid
from providers import fields
from providers.base import ChatCall
from providers.gemini import contents, models, reasoning, schema, tools
from providers.upstream_json import integer

_PLAIN: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_ALLOWED = (
    frozenset({"messages", "n", "stop", "seed", "logprobs", "top_logprobs", "tools", "tool_choice", "response_format"})
    | frozenset({"modalities", "web_search_options", "service_tier", "safety_settings", "image_config"})
    | reasoning.FIELDS
    | _PLAIN.keys()
)
PARAMETERS = _ALLOWED - {"messages"} | {"max_tokens", "max_completion_tokens", "functions", "function_call"}
"""The supported parameters of a model whose catalog entry does not list any."""
_NEVER = frozenset({"labels", "cachedContent", "cached_content", "continuationToken", "serviceTier"})
"""Fields of Gemini that no `passes` allows: labels are about the caller; caches and tokens are of other callers too."""
MAX_CANDIDATES = 8
MAX_STOPS = 5
_HARMS = frozenset({"HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY"})
_THRESHOLDS = frozenset({"OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE"})
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_IMAGE_CONFIG = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}


def payload(call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Our own fields are set last: no caller's field replaces one."""
    sent, dropped = fields.split(call.body, _ALLOWED, call.passes, call.drops)
    given = {name: value for name, value in sent.items() if value is not None and name not in _NEVER}
    dropped = (*dropped, *(name for name in sent if name in _NEVER))
    if not models.thinks(call.model):
        dropped = (*dropped, *(name for name in given if name in reasoning.FIELDS))
    if call.body.get("parallel_tool_calls") is True:  # as Gemini does anyway
        dropped = tuple(name for name in dropped if name != "parallel_tool_calls")
    body = {name: value for name, value in given.items() if name not in _ALLOWED}
    body |= contents.fields(given["messages"], call.model)
    body |= tools.fields(given, call.model)
    body |= _beside(given)
    body["generationConfig"] = _generation(call, given)
    return body, dropped


def _beside(given: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if "safety_settings" in given:
        result["safetySettings"] = _safety(given["safety_settings"])
    tier = given.get("service_tier")
    if tier not in (None, "auto", "default"):  # the gateway has checked that it is priced
        result["serviceTier"] = "priority" if tier == "fast" else tier
    return result


def _generation(call: ChatCall, given: Mapping[str, Any]) -> dict[str, Any]:
    config = _sampling(given)
    config["responseModalities"] = _modalities(given.get("modalities"))
    if "image_config" in given:
        config["imageConfig"] = _image_config(given["image_config"])
    if call.choices > MAX_CANDIDATES:
        raise RequestInvalid(f"'n' must be at most {MAX_CANDIDATES} for this model.", param="n")
    if call.choices > 1:
        config["candidateCount"] = call.choices
    config |= _format(given.get("response_format"), given, call.model)
    if models.thinks(call.model) and (thinking := reasoning.config(given, call.model)):
        config["thinkingConfig"] = thinking
    config["maxOutputTokens"] = call.output_limit
    return config


def _sampling(given: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {theirs: given[name] for name, theirs in _PLAIN.items() if name in given}
    if "stop" in given and (stops := _stops(given["stop"])):
        config["stopSequences"] = stops
    if (seed := integer(given.get("seed"))) is not None:
        config["seed"] = seed if -(2**31) <= seed < 2**31 else seed % 2**31
    if given.get("logprobs") is True:
        config["responseLogprobs"] = True
        if given.get("top_logprobs"):
            config["logprobs"] = given["top_logprobs"]
    return config


def _modalities(value: Any) -> list[str]:
    """Always named: a model that can make images makes them unless told otherwise, and only a priced one may."""
    names = value or ["text"]
    for name in names:
        if name not in _MODALITIES:
            raise RequestInvalid(
                "'modalities' of this model can have text and image.", param="modalities", code="unsupported_parameter"
            )
    return [_MODALITIES[name] for name in dict.fromkeys(["text", *names])]


def _image_config(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise RequestInvalid("'image_config' must be an object.", param="image_config", code="invalid_type")
    config = {}
    for name, theirs in _IMAGE_CONFIG.items():
        if (given := value.get(name)) is not None:
            if not isinstance(given, str):
                where = f"image_config.{name}"
                raise RequestInvalid(f"'{where}' must be a string.", param=where, code="invalid_type")
            config[theirs] = given
    return config


def _stops(value: Any) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops) or len(stops) > MAX_STOPS:
        raise RequestInvalid(f"'stop' must be a string or at most {MAX_STOPS} of them for this model.", param="stop")
    return [stop for stop in stops if stop]


def _format(value: Any, given: Mapping[str, Any], model: str) -> dict[str, Any]:
    kind = value.get("type", "text") if isinstance(value, dict) else "text"
    if kind == "text":
        return {}
    if kind not in ("json_object", "json_schema"):
        raise RequestInvalid(
            "'response_format.type' must be text, json_object or json_schema.", param="response_format.type"
        )
    if given.get("tools") and models.generation(model) < models.THREE:
        raise RequestInvalid(
            "This model takes no 'response_format' other than text together with 'tools'.",
            param="response_format",
            code="unsupported_parameter",
        )
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    match value.get("json_schema"):
        case {"schema": dict(wanted)} if kind == "json_schema":
            config["responseJsonSchema"] = schema.reduced(wanted)
    return config


def _safety(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise RequestInvalid("'safety_settings' must be an array.", param="safety_settings", code="invalid_type")
    return [_setting(each, f"safety_settings[{index}]") for index, each in enumerate(value)]


def _setting(value: Any, where: str) -> dict[str, str]:
    match value:
        case {"category": str(category), "threshold": str(threshold)}:
            if category.removeprefix("HARM_CATEGORY_") in _HARMS and threshold in _THRESHOLDS:
                return {"category": category, "threshold": threshold}
    raise RequestInvalid(f"'{where}' must have a category and a threshold of Gemini's.", param=where)

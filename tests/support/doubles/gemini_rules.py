"""What Google refuses in a request to Gemini, and how a whole answer follows from the events of a stream."""

import copy
import re
from collections.abc import Iterator
from typing import Any

FIELDS = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "serviceTier",
        "store",
    }
)
_GENERATION = frozenset(
    {"temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "candidateCount", "seed", "presencePenalty"}
    | {"frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseJsonSchema"}
    | {"responseModalities", "thinkingConfig", "imageConfig"}
)
_PARTS = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse"})
_KEYWORDS = frozenset(
    {"$id", "$anchor", "$ref", "$defs", "type", "format", "title", "description", "enum", "items", "prefixItems"}
    | {"minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties"}
    | {"required", "propertyOrdering"}
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


def fault(body: dict[str, Any], model: str) -> str | None:
    """Return what Google would say against the request, or None."""
    return next(_faults(body, model), None)


def _faults(body: dict[str, Any], model: str) -> Iterator[str]:
    config = body.get("generationConfig", {})
    for name in [*(body.keys() - FIELDS), *(config.keys() - _GENERATION)]:
        yield f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    thinking = config.get("thinkingConfig", {})
    if "thinkingLevel" in thinking and ("thinkingBudget" in thinking or "gemini-2" in model):
        yield "Thinking level is not supported for this model."
    if len(config.get("stopSequences", [])) > 5:
        yield "stop_sequences: at most 5"
    for tool in body.get("tools", []):
        for declaration in tool.get("functionDeclarations", []):
            if not _NAME.fullmatch(declaration["name"]):
                yield "Invalid function name."
            yield from _of_schema(declaration.get("parametersJsonSchema", {}))
    yield from _of_schema(config.get("responseJsonSchema", {}))
    yield from _of_contents(body.get("contents", []), model)


def _of_contents(contents: list[dict[str, Any]], model: str) -> Iterator[str]:
    if not contents:
        yield "contents is not specified"
    calls, role = 0, ""
    for content in contents:
        parts = content["parts"]
        if content["role"] not in ("user", "model") or not parts or content["role"] == role:
            yield "Please use a valid role: user, model, in turns."
        results = [part for part in parts if "functionResponse" in part]
        if len(results) != calls:
            yield "the number of function response parts is equal to the number of function call parts"
        called = [part for part in parts if "functionCall" in part]
        calls, role = len(called), content["role"]
        if called and "gemini-3" in model and "thoughtSignature" not in called[0]:
            yield "Function call is missing a thought_signature in functionCall parts."
        if any(len(part.keys() & _PARTS) != 1 for part in parts):
            yield "contents.parts must have one data field"


def _of_schema(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for name in schema.keys() - _KEYWORDS:
        yield f'Unknown name "{name}" in a schema.'
    for value in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", [])):
        yield from _of_schema(value)
    for inner in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
        yield from _of_schema(inner)


def joined(responses: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the whole answer of a stream: the parts of each candidate in a row, neighbouring texts as one."""
    whole = copy.deepcopy(responses[-1])
    for place, candidate in enumerate(whole.get("candidates", [])):
        parts: list[dict[str, Any]] = []
        for each in responses:
            for part in each["candidates"][place].get("content", {}).get("parts", []):
                plain = part.keys() == {"text"}
                if plain and parts and parts[-1].keys() == {"text"}:
                    parts[-1] = {"text": parts[-1]["text"] + part["text"]}
                elif part != {"text": ""}:
                    parts.append(part)
        candidate["content"] = {"role": "model", "parts": parts} if parts else {}
    return whole


def in_candidates(value: dict[str, Any], count: int) -> dict[str, Any]:
    """Return the response with its candidate so many times, and as much usage."""
    wide = copy.deepcopy(value)
    wide["candidates"] = [{**copy.deepcopy(value["candidates"][0]), "index": index} for index in range(count)]
    return wide

"""`POST /v1/embeddings` in OpenAI's form: texts or arrays of tokens in, vectors as numbers or as base64 out."""

from typing import Any

import orjson

from api import openapi_chat
from api.wire import fields
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from api.wire.openai_chat_stream import yout
from domain.catalog import Modality
from domain.errors import RequestInvalid
from domain.money import MAX_AMOUNT
from gateway.wire import Bill, CompletedAnswer, EmbeddingRequest, ModelCall

MAX_INPUTS = 2048
MAX_DIMENSIONS = 16_384
MAX_TOKEN_ID = 2**31 - 1
_FORMATS = ("float", "base64")


class OpenAIEmbeddings(JsonWire):
    """Implements `api.wire.base.ClientWire`, without streams."""

    path = "/v1/embeddings"
    endpoint = "embeddings"
    writer = None
    operation = openapi_chat.EMBEDDINGS

    def parse(self, body: dict[str, Any]) -> ModelCall:
        return parse(body)

    def takes(self, quoted: Quoted) -> bool:
        return quoted.model is not None and quoted.model.modality is Modality.EMBEDDING

    def whole(self, answer: CompletedAnswer, bill: Bill) -> bytes:
        return answer.encoded[:-1] + b',"yout":' + orjson.dumps(yout(bill)) + b"}"


def parse(body: dict[str, Any]) -> ModelCall:
    """Read a request. Raises `RequestInvalid` that names the first wrong field."""
    model = fields.required(body, "model", str)
    if not model:
        raise RequestInvalid("'model' must not be empty.", param="model")
    inputs = _inputs(body)
    if body.get("stream"):
        raise RequestInvalid("Embeddings are not streamed.", param="stream", code="unsupported_parameter")
    fields.check_type("strict", body.get("strict"), (bool,))
    form = body.get("encoding_format") or "float"
    if form not in _FORMATS:
        raise RequestInvalid("'encoding_format' must be float or base64.", param="encoding_format")
    dimensions = fields.count(body, "dimensions", MAX_DIMENSIONS)
    return ModelCall(
        model=model,
        body=body,
        max_credits=fields.count(body, "max_credits", MAX_AMOUNT),
        strict=body.get("strict") is True,
        embedding=EmbeddingRequest(inputs, dimensions, form == "base64"),
        places={"messages": "input"},
    )


def _inputs(body: dict[str, Any]) -> tuple[str | list[int], ...]:
    given = body.get("input")
    if given is None:
        raise RequestInvalid("'input' is required.", param="input", code="missing_required_parameter")
    fields.check_type("input", given, (str, list))
    if not given:
        raise RequestInvalid("'input' must not be empty.", param="input")
    if isinstance(given, str):
        return (given,)
    if type(given[0]) is int:
        check_tokens(given, "input")
        return (given,)
    if len(given) > MAX_INPUTS:
        raise RequestInvalid(f"'input' must have at most {MAX_INPUTS} elements.", param="input")
    for place, each in enumerate(given):
        _check_input(each, type(given[0]), f"input[{place}]")
    return tuple(given)


def _check_input(given: object, kind: type, where: str) -> None:
    if kind not in (str, list):
        raise RequestInvalid(f"'{where}' must be a string or an array.", param=where, code="invalid_type")
    if type(given) is not kind:
        raise RequestInvalid(
            f"'{where}' must be {'a string' if kind is str else 'an array'}, as the first one is.",
            param=where,
            code="invalid_type",
        )
    if not given:
        raise RequestInvalid(f"'{where}' must not be empty.", param=where)
    if isinstance(given, list):
        check_tokens(given, where)


def check_tokens(given: list[Any], where: str) -> None:
    if set(map(type, given)) != {int}:
        raise RequestInvalid(f"'{where}' must have integers only.", param=where, code="invalid_type")
    if min(given) < 0 or max(given) > MAX_TOKEN_ID:
        raise RequestInvalid(f"'{where}' must have token ids.", param=where)

"""`POST /v1/responses`: OpenAI's Responses without a store. `openai_responses_stream` writes the answers.

A request is translated into OpenAI's chat (`openai_responses_input`, `openai_responses_tools`). As its client wrote it,
it goes to a provider that speaks this wire too.
"""

from collections.abc import Mapping
from typing import Any

from api import errors, openapi_responses
from api.wire import fields as wire_fields
from api.wire import openai_chat, openai_responses_stream, openai_responses_summaries, openai_responses_tools
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from api.wire.openai_responses_input import Conversation
from domain.errors import RequestInvalid
from domain.pricing import MAX_TOKENS
from domain.request_fields import NEVER_SENT
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall, StreamWriter
from providers.base import NativeRequest

WIRE = "openai_responses"
"""The wire of a native request, and the kind of the providers that take it."""
MIN_OUTPUT_TOKENS = 16
_STATEFUL = ("previous_response_id", "conversation", "prompt", "background")
_LOGPROBS = "message.output_text.logprobs"
_GIVEN = ("reasoning.encrypted_content", _LOGPROBS)
"""What an answer can include whoever gives it."""
_TRANSLATED = frozenset(
    {"input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "max_output_tokens", "stream"}
    | {"stream_options", "top_logprobs", "background", "previous_response_id", "conversation", "prompt"}
)
"""Fields that a chat has in another form, or not at all."""
_PASSED = frozenset(
    {"temperature", "top_p", "parallel_tool_calls", "service_tier", "stop", "seed", "presence_penalty", "moderation"}
    | {"frequency_penalty", "logit_bias", "top_k", "min_p", "repetition_penalty", "prompt_cache_options"}
    | {"max_credits", "strict"}
)
"""Fields that are the same in a chat."""
_OF_THE_CALLER = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key"})
"""Fields that the answer repeats. No provider is sent them."""
_NOT_SENT = _OF_THE_CALLER | {"model", "store", "prompt_cache_retention", "client_metadata"}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "instructions": (str,),
    "text": (dict,),
    "reasoning": (dict,),
    "metadata": (dict,),
    "include": (list,),
    "store": (bool,),
    "background": (bool,),
    "truncation": (str,),
    "max_tool_calls": (int,),
    "prompt_cache_key": (str,),
    "safety_identifier": (str,),
    "user": (str,),
}
_PLACES = {
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "logprobs": "include",
}
"""The names of fields here, by those of a chat."""


class OpenAIResponses(JsonWire):
    """Implements `api.wire.base.ClientWire`."""

    path = "/v1/responses"
    endpoint = "responses"
    operation = openapi_responses.RESPONSES

    def parse(self, body: dict[str, Any]) -> ModelCall:
        return parse(body)

    def takes(self, quoted: Quoted) -> bool:
        return quoted.has("input") and not quoted.has("messages")

    def whole(self, answer: CompletedAnswer, bill: Bill) -> bytes:
        return openai_responses_stream.whole(answer, bill)

    def writer(self, head: Head) -> StreamWriter:
        return openai_responses_stream.ResponseStream(head)


def parse(body: dict[str, Any]) -> ModelCall:
    """Read a request. Raises `RequestInvalid` that names the first wrong field."""
    _check(body)
    if isinstance(given := body.get("input"), list):
        body = {**body, "input": openai_responses_summaries.as_messages(given)}
    conversation, tools = _conversation(body), openai_responses_tools.read(body)
    fields = {name: value for name, value in body.items() if name in _PASSED | _OF_THE_CALLER and value is not None}
    fields |= {"model": body.get("model"), "messages": conversation.messages, "stream": body.get("stream")}
    fields |= _tools(tools) | _formats(body) | _logprobs(body)
    if (limit := _limit(body)) is not None:
        fields["max_completion_tokens"] = limit
    places = _PLACES | conversation.places | tools.places
    try:
        call = openai_chat.parse(fields)
    except RequestInvalid as error:
        errors.rename(error, ModelCall("", fields, places=places).as_written)
        raise
    if body.get("truncation") == "disabled":
        body = {name: value for name, value in body.items() if name != "truncation"}
    rest = {name: body[name] for name in body.keys() - _TRANSLATED - _PASSED - _NOT_SENT if body[name] is not None}
    native = {name: value for name, value in body.items() if name not in NEVER_SENT}
    return ModelCall(
        model=call.model,
        body=call.body,
        stream=call.stream,
        output_limit=limit,
        max_credits=call.max_credits,
        strict=call.strict,
        native=NativeRequest(WIRE, native),
        untranslated={**rest, **_included(body), **tools.untranslated, **conversation.untranslated},
        untranslatable=frozenset(conversation.compacted),
        optional=frozenset({"web_search_options"}),
        unused_tools=tools.unused,
        places=places,
    )


def _check(body: Mapping[str, Any]) -> None:
    for name in _STATEFUL:
        if body.get(name) not in (None, False):
            raise RequestInvalid(
                f"'{name}' is not taken: this server stores no responses. Send the whole 'input' each time.",
                param=name,
                code="unsupported_parameter",
            )
    if body.get("truncation") not in (None, "auto", "disabled"):
        raise RequestInvalid("'truncation' must be auto or disabled.", param="truncation")
    for name, types in _TYPES.items():
        wire_fields.check_type(name, body.get(name), types)


def _conversation(body: Mapping[str, Any]) -> Conversation:
    conversation, given = Conversation(), body.get("input")
    if instructions := body.get("instructions"):
        conversation.instruct(instructions)
    if given is None:
        raise RequestInvalid("'input' is required.", param="input", code="missing_required_parameter")
    wire_fields.check_type("input", given, (str, list))
    if isinstance(given, str):
        conversation.ask(given)
    else:
        if not given:
            raise RequestInvalid("'input' must have at least one item.", param="input")
        for place, item in enumerate(given):
            conversation.item(item, f"input[{place}]")
    conversation.end()
    if not conversation.messages:
        raise RequestInvalid("'input' must have at least one message.", param="input")
    return conversation


def _tools(tools: openai_responses_tools.Tools) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if tools.functions:
        fields["tools"] = tools.functions
        if tools.choice is not None:
            fields["tool_choice"] = tools.choice
    if tools.search is not None:
        fields["web_search_options"] = tools.search
    return fields


def _formats(body: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    text, reasoning = body.get("text") or {}, body.get("reasoning") or {}
    match text.get("format"):
        case None | {"type": "text"}:
            pass
        case {"type": "json_object"}:
            fields["response_format"] = {"type": "json_object"}
        case {"type": "json_schema", "name": str(), **described}:
            names = ("name", "description", "schema", "strict")
            form = {name: text["format"][name] for name in names if text["format"].get(name) is not None}
            if not isinstance(described.get("schema"), dict):
                raise RequestInvalid("'text.format.schema' must be an object.", param="text.format.schema")
            fields["response_format"] = {"type": "json_schema", "json_schema": form}
        case {"type": "json_schema"}:
            code = "missing_required_parameter"
            raise RequestInvalid("'text.format.name' is required.", param="text.format.name", code=code)
        case _:
            raise RequestInvalid(
                "'text.format.type' must be text, json_object or json_schema.", param="text.format.type"
            )
    for name, value, at in (
        ("verbosity", text.get("verbosity"), "text.verbosity"),
        ("reasoning_effort", reasoning.get("effort"), "reasoning.effort"),
    ):
        wire_fields.check_type(at, value, (str,))
        if value is not None:
            fields[name] = value
    return fields


def _included(body: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer includes only if a provider of this wire gives it."""
    included = {f"include[{place}]": name for place, name in enumerate(body.get("include") or ())}
    for at, name in included.items():
        wire_fields.check_type(at, name, (str,))
    return {at: name for at, name in included.items() if name not in _GIVEN}


def _logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    top = body.get("top_logprobs")
    if not top and _LOGPROBS not in (body.get("include") or ()):
        return {}
    return {"logprobs": True} | ({} if top is None else {"top_logprobs": top})


def _limit(body: Mapping[str, Any]) -> int | None:
    limit: int | None = body.get("max_output_tokens")
    wire_fields.check_type("max_output_tokens", limit, (int,))
    if limit is not None and not MIN_OUTPUT_TOKENS <= limit <= MAX_TOKENS:
        raise RequestInvalid(
            f"'max_output_tokens' must be between {MIN_OUTPUT_TOKENS} and {MAX_TOKENS}.", param="max_output_tokens"
        )
    return limit

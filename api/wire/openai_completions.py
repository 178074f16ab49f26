"""`POST /v1/completions`, OpenAI's legacy endpoint. A chat model gets its prompt as one message of the user.

A route of a server that has this endpoint gets the request as it is (the capability `completions`). What no chat can
express is refused, and named, where no route is such a one.
"""

from collections.abc import Mapping
from typing import Any

from api import openapi_chat
from api.wire import fields, openai_chat, openai_completions_stream
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from api.wire.openai_embeddings import check_tokens
from domain.errors import RequestInvalid
from domain.money import MAX_AMOUNT
from domain.pricing import MAX_TOKENS
from gateway.wire import Bill, CompletedAnswer, CompletionRequest, Head, ModelCall, StreamWriter
from providers.base import NativeRequest

WIRE = "openai_completions"
DEFAULT_MAX_TOKENS = 16
MAX_CHOICES = 1024
"""Of all prompts together."""
MAX_LOGPROBS = 5
_OWN = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs", "max_tokens", "n"})
_PLACES = {
    "messages[0].content": "prompt",
    "messages[0]": "prompt",
    "messages": "prompt",
    "top_logprobs": "logprobs",
}
Prompts = tuple[str | list[int], ...]


class OpenAICompletions(JsonWire):
    """Implements `api.wire.base.ClientWire`."""

    path = "/v1/completions"
    endpoint = "completions"
    operation = openapi_chat.COMPLETIONS

    def parse(self, body: dict[str, Any]) -> ModelCall:
        return parse(body)

    def takes(self, quoted: Quoted) -> bool:
        return quoted.has("prompt") and not quoted.has("messages")

    def whole(self, answer: CompletedAnswer, bill: Bill) -> bytes:
        return openai_completions_stream.whole(answer, bill)

    def writer(self, head: Head) -> StreamWriter:
        return openai_completions_stream.CompletionStream(head)


def parse(body: dict[str, Any]) -> ModelCall:
    """Read a request. Raises `RequestInvalid` that names the first wrong field."""
    model = fields.required(body, "model", str)
    if not model:
        raise RequestInvalid("'model' must not be empty.", param="model")
    prompts = _prompts(body)
    if type(body.get("best_of")) is int and not body["best_of"]:  # OpenAI's description allows it
        body = {name: value for name, value in body.items() if name != "best_of"}
    for name, types in {"suffix": (str,), "echo": (bool,), "strict": (bool,), "stream": (bool,)}.items():
        fields.check_type(name, body.get(name), types)
    logprobs, limit = _number(body, "logprobs", MAX_LOGPROBS), _number(body, "max_tokens", MAX_TOKENS)
    chat = openai_chat.parse(_chat(body, prompts, logprobs))
    limit = DEFAULT_MAX_TOKENS if limit is None else limit
    suffix = body.get("suffix") or ""
    return ModelCall(
        model=model,
        body=chat.body,
        stream=chat.stream,
        choices=_choices(body, len(prompts)),
        output_limit=max(1, limit),
        max_credits=fields.count(body, "max_credits", MAX_AMOUNT),
        strict=chat.strict,
        native=NativeRequest(WIRE, {**body, "max_tokens": limit}),
        completion=CompletionRequest((*prompts, suffix) if suffix else prompts, _inexpressible(body, prompts, limit)),
        places=_PLACES,
    )


def _chat(body: Mapping[str, Any], prompts: Prompts, logprobs: int | None) -> dict[str, Any]:
    """Return the chat of the first prompt, with every field that means the same in a chat."""
    prompt = prompts[0]
    chat = {name: value for name, value in body.items() if name not in _OWN}
    chat["messages"] = [{"role": "user", "content": prompt if isinstance(prompt, str) else ""}]
    if body.get("n") is not None:
        chat["n"] = body["n"]
    if logprobs is not None:
        chat |= {"logprobs": True, "top_logprobs": logprobs}
    return chat


def _inexpressible(body: Mapping[str, Any], prompts: Prompts, limit: int) -> RequestInvalid | None:
    """Return what a chat cannot express of the request, as an error that names the field."""
    several = {
        "prompt": len(prompts) > 1 or not isinstance(prompts[0], str) or not prompts[0],
        "suffix": body.get("suffix"),
        "echo": body.get("echo"),
        "best_of": (body.get("best_of") or 1) > (body.get("n") or 1),
        "max_tokens": limit == 0,
    }
    name = next((name for name, given in several.items() if given), None)
    if name is None:
        return None
    only = " with one text that is not empty" if name == "prompt" else ""
    return RequestInvalid(
        f"The model answers text completions by a chat, which cannot take this '{name}'{only and f': only one{only}'}.",
        param=name,
        code="unsupported_parameter",
    )


def _prompts(body: Mapping[str, Any]) -> Prompts:
    given = body.get("prompt")
    if given is None:
        raise RequestInvalid("'prompt' is required.", param="prompt", code="missing_required_parameter")
    fields.check_type("prompt", given, (str, list))
    if isinstance(given, str):
        return (given,)
    if not given:
        raise RequestInvalid("'prompt' must not be empty.", param="prompt")
    if type(given[0]) is int:
        check_tokens(given, "prompt")
        return (given,)
    for place, each in enumerate(given):
        where = f"prompt[{place}]"
        if type(each) is not type(given[0]) or not isinstance(each, str | list):
            raise RequestInvalid(
                f"'{where}' must be a string, or an array of tokens.", param=where, code="invalid_type"
            )
        if isinstance(each, list):
            check_tokens(each, where)
    return tuple(given)


def _number(body: Mapping[str, Any], name: str, maximum: int) -> int | None:
    value = body.get(name)
    fields.check_type(name, value, (int,))
    if value is not None and not 0 <= value <= maximum:
        raise RequestInvalid(f"'{name}' must be between 0 and {maximum}.", param=name)
    return value


def _choices(body: Mapping[str, Any], prompts: int) -> int:
    """Return how many completions are made, and paid for. Raises `RequestInvalid` for what cannot be answered."""
    n = fields.count(body, "n", openai_chat.MAX_CHOICES) or 1
    best_of = fields.count(body, "best_of", openai_chat.MAX_CHOICES) or n
    if best_of < n:
        raise RequestInvalid("'best_of' must not be less than 'n'.", param="best_of")
    if best_of > n and body.get("stream"):
        raise RequestInvalid("'best_of' above 'n' cannot be streamed.", param="best_of")
    if prompts * best_of > MAX_CHOICES:
        raise RequestInvalid(f"'prompt' and 'n' ask for more than {MAX_CHOICES} completions.", param="prompt")
    texts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    if body.get("echo") and not all(isinstance(text, str) for text in texts):
        raise RequestInvalid("'echo' needs prompts that are texts.", param="echo", code="unsupported_parameter")
    return prompts * best_of

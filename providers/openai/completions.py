"""OpenAI's text completions, for a server that has the endpoint: the request, and answers as chats with the same text.

`logprobs` of a choice stay in the form of this endpoint: arrays of tokens and of their log probabilities.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from providers import fields
from providers.base import ChatCall, Delta, ProviderEvent, WholeAnswer
from providers.openai import request, whole
from providers.openai.decoder import OpenAIDecoder

WIRE = "openai_completions"
"""The name of the endpoint's form in `NativeRequest.wire`."""
CAPABILITY = "completions"
ALLOWED = frozenset(
    {"prompt", "suffix", "echo", "logprobs", "best_of", "n", "stop", "seed", "temperature", "top_p"}
    | {"presence_penalty", "frequency_penalty", "logit_bias"}
    | (request.OPEN_SERVERS - {"chat_template_kwargs", "add_generation_prompt", "continue_final_message"})
)


def is_native(call: ChatCall) -> bool:
    return call.native is not None and call.native.wire == WIRE and CAPABILITY in call.capabilities


def payload(call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields."""
    native = _native(call)
    given = {name: value for name, value in native.items() if value is not None}
    body, dropped = fields.split(given, ALLOWED, call.passes, call.drops)
    body["model"] = call.model
    body["max_tokens"] = min(call.output_limit, native.get("max_tokens", call.output_limit))  # 0: nothing but an echo
    if call.stream:
        body["stream"] = True
        if "stream_options" not in call.drops:
            body["stream_options"] = {"include_usage": True}
    return body, dropped


def answer(call: ChatCall, body: Any) -> WholeAnswer:
    complete = whole.answer(call, _as_chat(body, "message"))
    if not _echoes(call):
        return complete
    left = _Echo(call)
    words = [left.without(each["index"], each["message"].get("content") or "") for each in complete.body["choices"]]
    return replace(complete, text="".join(words))


class CompletionsDecoder(OpenAIDecoder):
    """Implements `providers.base.StreamDecoder`: each event is read as the chunk of a chat."""

    def __init__(self, call: ChatCall) -> None:
        super().__init__(call)
        self._echo = _Echo(call) if _echoes(call) else None

    def _common(self, chunk: dict[str, Any]) -> Delta | None:
        return None

    def _chunk(self, chunk: dict[str, Any], doubtful: bool) -> Iterator[ProviderEvent]:
        for event in super()._chunk(_as_chat(chunk, "delta"), doubtful):
            yield self._without_echo(event, self._echo) if self._echo and isinstance(event, Delta) else event

    def _read_whole(self, body: Any) -> WholeAnswer:
        return answer(self._call, body)

    def _without_echo(self, delta: Delta, echo: "_Echo") -> Delta:
        parts = [(each["index"], each["delta"].get("content") or "") for each in delta.chunk["choices"]]
        return replace(delta, text="".join(echo.without(index, content) for index, content in parts))


class _Echo:
    """The prompts that choices begin with. They are no output: nobody pays for them as such."""

    def __init__(self, call: ChatCall) -> None:
        native = _native(call)
        prompt = native["prompt"]
        prompts = prompt if isinstance(prompt, list) else [prompt]
        self._per_prompt = native.get("n") or 1
        self._lengths = [len(each) for each in prompts]
        self._left: dict[int, int] = {}

    def without(self, index: int, text: str) -> str:
        """Return the next text of a choice without what repeats its prompt."""
        place = min(index // self._per_prompt, len(self._lengths) - 1)
        left = self._left.setdefault(index, self._lengths[place])
        self._left[index] = left - min(left, len(text))
        return text[left:]


def _native(call: ChatCall) -> Mapping[str, Any]:
    assert call.native is not None  # noqa: S101  # `is_native` has looked
    return call.native.body


def _echoes(call: ChatCall) -> bool:
    return _native(call).get("echo") is True


def _as_chat(body: Any, name: str) -> Any:
    """Turn the choices of a completion, or of its chunk, into those of a chat. Anything else stays as it is."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices:
        return body
    return {**body, "choices": [_choice(choice, name) if isinstance(choice, dict) else choice for choice in choices]}


def _choice(choice: dict[str, Any], name: str) -> dict[str, Any]:
    rest = {key: value for key, value in choice.items() if key not in ("text", name)}
    return {**rest, name: {"content": choice["text"]} if "text" in choice else choice.get(name)}

"""Turns the candidates of an answer into choices of OpenAI's chunks, part by part as they come."""

from collections.abc import Mapping
from typing import Any

from domain.errors import UpstreamError
from providers.gemini import signatures
from providers.gemini.annotations import Annotations
from providers.openai.calls import ToolCalls

BLOCKED = "The provider of this model has blocked this under its content policy."
"""The refusal of an answer without any content."""
FILTERED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"}
    | {"IMAGE_RECITATION", "ESCALATION", "MODEL_ARMOR", "PUP_LIMITED_DISABLED"}
)
_FAILED = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"}
    | {"MALFORMED_RESPONSE", "NO_IMAGE", "IMAGE_OTHER", "OTHER", "LANGUAGE"}
)
"""Finish reasons of an answer that failed."""
_CUT = ("MAX_TOKENS", "CONTINUATION")
_NOT_YET = "FINISH_REASON_UNSPECIFIED"


class Choice:
    """What is known of one candidate."""

    def __init__(self, seed: str) -> None:
        self.begun = False
        self.spoken = False
        """Whether it has had any output beside thoughts."""
        self.sources = Annotations()
        self._seed = seed
        self._calls: ToolCalls | None = None
        self._ids: set[str] = set()
        self._text = bytearray()
        self._details = 0
        self._reason: str | None = None

    @property
    def filtered(self) -> bool:
        return self._reason in FILTERED

    @property
    def ended(self) -> bool:
        return self._reason is not None

    def finish(self) -> str:
        """Return OpenAI's finish reason. Raises `UpstreamError` if the provider's model failed.

        Gemini says STOP of an answer that calls functions, and some servers say it in every event.
        """
        if self._reason in _FAILED:
            raise UpstreamError
        if self._reason in FILTERED:
            return "content_filter"
        if self._reason in _CUT:
            return "length"
        return "tool_calls" if self._calls is not None and len(self._calls) else "stop"

    def delta(self, candidate: Mapping[str, Any], response_id: object) -> tuple[dict[str, Any], str]:
        """Return the delta of a candidate's new parts, and all of its text."""
        delta = _Delta()
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, Mapping) else None
        if not isinstance(parts, list | None):
            raise UpstreamError
        for part in parts or ():
            if not isinstance(part, Mapping):
                raise UpstreamError
            self._add(delta, part, response_id)
        if annotations := self.sources.of(candidate, self._text):
            delta.fields["annotations"] = annotations
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason and reason != _NOT_YET:
            self._reason = reason
        return self._begin(delta.fields), "".join(delta.texts)

    def refusal(self) -> dict[str, Any]:
        """Return the delta that says why a choice without any output has none."""
        return self._begin({"refusal": BLOCKED})

    def _begin(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields and not self.begun:
            self.begun = True
            return {"role": "assistant", "content": None, **fields}
        return fields

    def _add(self, delta: "_Delta", part: Mapping[str, Any], response_id: object) -> None:
        signature = part.get("thoughtSignature")
        call_id = None
        if isinstance(call := part.get("functionCall"), Mapping):
            call_id = self._call(delta, call, signature, response_id)
        elif isinstance(text := part.get("text"), str):
            thought = part.get("thought") is True
            delta.add("reasoning_content" if thought else "content", text)
            if text and not thought:
                self.spoken = True
                self._text += text.encode("utf-8", "replace")
        elif isinstance(data := part.get("inlineData"), Mapping) and part.get("thought") is not True:
            self._image(delta, data)
        if isinstance(signature, str) and signature:
            delta.append("reasoning_details", signatures.detail(signature, self._details, call_id))
            self._details += 1

    def _call(self, delta: "_Delta", call: Mapping[str, Any], signature: object, response_id: object) -> str:
        if self._calls is None:
            self._calls = ToolCalls(f"{response_id}:{self._seed}")
        function = {"name": call.get("name"), "arguments": call.get("args") or {}}
        given = call.get("id")
        own = given if isinstance(given, str) and given not in self._ids else None  # each call is whole
        whole = {"index": len(self._calls), "id": own, "type": "function", "function": function}
        completed = self._calls.complete(whole)
        self._ids.add(completed["id"])
        if isinstance(signature, str) and signature:
            completed["extra_content"] = signatures.extra_content(signature)
        delta.append("tool_calls", completed)
        delta.texts += (completed["function"]["name"], completed["function"]["arguments"])
        self.spoken = True
        return str(completed["id"])

    def _image(self, delta: "_Delta", data: Mapping[str, Any]) -> None:
        media_type, encoded = data.get("mimeType"), data.get("data")
        if isinstance(media_type, str) and isinstance(encoded, str) and media_type.startswith("image/"):
            url = f"data:{media_type};base64,{encoded}"
            delta.append("images", {"type": "image_url", "image_url": {"url": url}})
            self.spoken = True


class _Delta:
    """The fields of one delta, and their texts in order."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.texts: list[str] = []

    def add(self, name: str, text: str) -> None:
        if text:
            self.fields[name] = self.fields.get(name, "") + text
            self.texts.append(text)

    def append(self, name: str, value: dict[str, Any]) -> None:
        self.fields.setdefault(name, []).append(value)


def logprobs(candidate: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return OpenAI's `logprobs` of a candidate's new tokens."""
    result = candidate.get("logprobsResult")
    if not isinstance(result, Mapping) or not isinstance(chosen := result.get("chosenCandidates"), list):
        return None
    top = result.get("topCandidates")
    others = top if isinstance(top, list) else []
    content = []
    for index, token in enumerate(chosen):
        beside = others[index].get("candidates") if index < len(others) and isinstance(others[index], Mapping) else None
        ranked = [_token(each) for each in beside] if isinstance(beside, list) else []
        content.append({**_token(token), "top_logprobs": ranked})
    return {"content": content, "refusal": None}


def _token(token: Any) -> dict[str, Any]:
    if not isinstance(token, Mapping):
        raise UpstreamError
    text, logprob = token.get("token"), token.get("logProbability")
    text = text if isinstance(text, str) else ""
    value = logprob if isinstance(logprob, int | float) else 0.0
    return {"token": text, "logprob": value, "bytes": list(text.encode("utf-8", "replace"))}

"""Names what a server did not take, by its error: only fields that were sent, and of those only what can be left out.

Nothing else of the error's text is used. An error that merely quotes a prompt costs one more request, no memory of it:
the gateway remembers what was left out of a call that was answered.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain.request_fields import DEVELOPER_ROLE, OUTPUT_LIMITS, SET_HERE
from providers.base import ChatCall, EmbeddingCall

CAN_BE_LEFT_OUT = (
    SET_HERE
    | {"temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logit_bias", "logprobs"}
    | {"top_logprobs", "parallel_tool_calls", "reasoning_effort", "verbosity", "prediction", "prompt_cache_options"}
    | {"top_k", "top_a", "min_p", "typical_p", "repetition_penalty", "length_penalty", "min_tokens", "random_seed"}
    | {"reasoning", "include_reasoning", "reasoning_format", "thinking", "enable_thinking", "thinking_budget"}
    | {"chat_template_kwargs", "cache_control"}
)
"""Fields without which the answer means the same and costs no more than is held.

`store` and `provider` are about privacy: nobody is asked again without them.
"""
_MESSAGE_FIELDS = frozenset(
    {"reasoning", "reasoning_content", "reasoning_details", "cache_control", "annotations", "name"}
)
_ON_VALUES = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})
"""Fields of which some models take the default alone."""
_CODES = frozenset({"unsupported_parameter", "unknown_parameter", "extra_forbidden"})
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|(?:does not|doesn't|do not) support|unrecogni[sz]ed|unexpected|extra inputs|deprecated"
    r"|unknown (?:parameter|field|name|argument|property|key)|extra_forbidden|extraneous|not permitted|not allowed"
    r"|cannot find field|not a valid field|additional propert|only the default|only \S{1,8} is allowed|is not accepted",
    re.IGNORECASE,
)
_ONLY_DEFAULT = re.compile(r"only the default|only \S{1,8} is allowed", re.IGNORECASE)
_ROLE = re.compile(
    r"unknown variant|invalid value|one of|unexpected role|unsupported|not support|not valid|invalid role|enum|literal",
    re.IGNORECASE,
)
_NEAR = 160
"""Characters between a name and what the error says of it."""
_ROOT = re.compile(r"(?:body\.)?(messages(?=\W)|\w+)")


def of(value: Any, call: ChatCall | EmbeddingCall, sent: Mapping[str, Any]) -> frozenset[str]:
    """Return what to leave out of the next request to this server. `sent` is the body of the last, `value` its error.

    Empty if the error is about something else, or if the answer would mean something else without it.
    """
    messages = list(_messages(value, 0))
    text = "\n".join(each[:2048] for each in messages)[:8192]
    places = list(_places(value, 0))
    names = {name for place in places for name in _named(place, text, sent)}
    if not places:
        names = {name for name in CAN_BE_LEFT_OUT & sent.keys() if _is_near(name, text)}
        names |= {f"messages.{name}" for name in _message_fields(sent) if _is_near(name, text)}
    if _sends_developer(sent) and "developer" in text and _ROLE.search(text):
        names.add(DEVELOPER_ROLE)
    if not call.drops.isdisjoint(OUTPUT_LIMITS):  # the server was asked with the other name before: it has no third
        names -= set(OUTPUT_LIMITS)
    return frozenset(names) - call.drops


def _named(place: tuple[str, str], text: str, sent: Mapping[str, Any]) -> Iterator[str]:
    """Read a field that the error names in a place of its own, with the code or the type beside it."""
    path, code = place
    if code not in _CODES and not (_ONLY_DEFAULT if code == "unsupported_value" else _UNSUPPORTED).search(text):
        return
    match = _ROOT.match(path)
    root = match[1] if match else ""
    if root == "messages":
        last = re.split(r"\W+", path)[-1]
        if last in _message_fields(sent):
            yield f"messages.{last}"
    elif root in CAN_BE_LEFT_OUT and root in sent and (code != "unsupported_value" or root in _ON_VALUES):
        yield root


def _is_near(name: str, text: str) -> bool:
    """Tell whether the text names the field, in either spelling, close to what means that it is not supported."""
    head, *rest = name.split("_")
    camel = head + "".join(word.capitalize() for word in rest)
    for match in re.finditer(rf"(?<![\w.])(?:{name}|{camel})(?!\w)", text):
        if _UNSUPPORTED.search(text, max(0, match.start() - _NEAR), match.end() + _NEAR):
            return True
    return False


def _sends_developer(sent: Mapping[str, Any]) -> bool:
    return any(
        message.get("role") == "developer" for message in sent.get("messages") or () if isinstance(message, dict)
    )


def _message_fields(sent: Mapping[str, Any]) -> frozenset[str]:
    messages = [message for message in sent.get("messages") or () if isinstance(message, dict)]
    parts = [part for each in messages if isinstance(each.get("content"), list) for part in each["content"]]
    return _MESSAGE_FIELDS.intersection(
        *([] if not messages else [{name for each in (*messages, *parts) for name in each}])
    )


def _messages(value: Any, depth: int) -> Iterator[str]:
    """Yield the texts that describe the error: never the values that it quotes beside them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 5:
        for each in value[:16]:
            yield from _messages(each, depth + 1)
    elif isinstance(value, Mapping) and depth < 5:
        for name in ("error", "message", "detail", "msg", "type", "code", "errors"):
            yield from _messages(value.get(name), depth + 1)


def _places(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Yield each field that the error names in OpenAI's or FastAPI's way, with its code or type."""
    if isinstance(value, list) and depth < 5:
        for each in value[:16]:
            yield from _places(each, depth + 1)
    elif isinstance(value, Mapping) and depth < 5:
        param, place = value.get("param"), value.get("loc")
        if isinstance(param, str) and param:
            yield param, str(value.get("code") or "")
        elif isinstance(place, list):
            yield ".".join(str(each) for each in place if each != "body"), str(value.get("type") or "")
        else:
            for name in ("error", "detail", "message", "errors"):
                yield from _places(value.get(name), depth + 1)

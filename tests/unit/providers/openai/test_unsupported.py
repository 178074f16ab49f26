"""What a server does not take, read out of its error in every vendor's words."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Provider
from providers.base import ChatCall
from providers.openai.adapter import OpenAIAdapter

URL = "https://up.invalid/v1"
ADAPTER = OpenAIAdapter(Provider(name="p", kind="openai", active=True, base_url=URL, api_key=SecretStr("k")))
ABLE = frozenset({"developer_role"})
BODY = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "a", "reasoning_content": "hm"},
    ],
    **{"temperature": 0.5, "presence_penalty": 1, "reasoning_effort": "low", "logprobs": True, "n": 2, "tools": []},
    "response_format": {"type": "json_object"},
    "parallel_tool_calls": False,
}


def openai(message: str, param: str | None = None, code: str | None = None) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def unsupported(error: Any, status: int = 400, drops: tuple[str, ...] = ()) -> set[str]:
    call = ChatCall("m", BODY, 100, stream=True, capabilities=ABLE, drops=frozenset(drops))
    return set(ADAPTER.error(call, status, {}, json.dumps(error).encode()).unsupported)


FORBIDDEN = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted", "input": {"include_usage": True}}
OPENAI_LIMIT = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (openai(OPENAI_LIMIT, "max_tokens", "unsupported_parameter"), {"max_tokens"}),
        (openai("Unrecognized request argument supplied: stream_options"), {"stream_options"}),
        (
            openai("Unknown parameter: 'parallel_tool_calls'.", "parallel_tool_calls", "unknown_parameter"),
            {"parallel_tool_calls"},
        ),
        (
            openai(
                "'temperature' does not support 0.5. Only the default (1) value is supported.",
                "temperature",
                "unsupported_value",
            ),
            {"temperature"},
        ),
        (
            openai("Invalid value: 'developer'. Supported values are: 'system' and 'user'.", "messages[0].role"),
            {"developer_role"},
        ),
        ({"detail": [{**FORBIDDEN, "loc": ["body", "stream_options"]}]}, {"stream_options"}),
        (
            {
                "object": "error",
                "message": {
                    "detail": [{**FORBIDDEN, "loc": ["body", name]} for name in ("stream_options", "logprobs")]
                },
            },
            {"stream_options", "logprobs"},
        ),
        (
            {"detail": [{**FORBIDDEN, "loc": ["body", "messages", 1, "assistant", "reasoning_content"]}]},
            {"messages.reasoning_content"},
        ),
        (
            {"object": "error", "message": f"[{ {**FORBIDDEN, 'loc': ('body', 'stream_options')} }]", "code": 400},
            {"stream_options"},
        ),
        (
            openai(
                "Failed to deserialize: messages[0].role: unknown variant `developer`, expected one of `system`, `user`"
            ),
            {"developer_role"},
        ),
        (openai("property 'logprobs' is unsupported"), {"logprobs"}),
        (openai("'messages.1' : property 'reasoning_content' is unsupported"), {"messages.reasoning_content"}),
        (
            {"code": "invalid-argument", "error": "Argument not supported on this model: presencePenalty"},
            {"presence_penalty"},
        ),
        (openai("At body -> stream_options: Extra inputs are not permitted"), {"stream_options"}),
        (
            [openai('Invalid JSON payload received. Unknown name "stream_options": Cannot find field.')],
            {"stream_options"},
        ),
        (openai("invalid temperature: only 1 is allowed for this model"), {"temperature"}),
        ({"message": "extraneous key [stream_options] is not permitted"}, {"stream_options"}),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_what_can_be_left_out(error: Any, names: set[str], status: int) -> None:
    assert unsupported(error, status) == names
    assert not unsupported(error, status, tuple(names))


@pytest.mark.parametrize(
    "error",
    [
        openai("Unsupported parameter: 'response_format'", "response_format", "unsupported_parameter"),
        openai("tools are not supported by this model", "tools", "unsupported_parameter"),
        openai("'n' is not supported"),
        openai("Unknown parameter: 'store'.", "store", "unknown_parameter"),
        openai("Unknown parameter: 'top_k'.", "top_k", "unknown_parameter"),
        openai("temperature must be at most 1", "temperature", "invalid_value"),
        openai("'reasoning_effort' does not support 'low'.", "reasoning_effort", "unsupported_value"),
        openai("max_tokens is too large: 100. This model supports at most 50.", "max_tokens", "invalid_value"),
        openai("This model's maximum context length is 9 tokens; stream_options is not supported"),
        openai("Your prompt is not what we want."),
        openai("SECRET", "temperature", "unsupported_value"),
        "stream_options",
        None,
    ],
)
def test_what_stays_an_error(error: Any) -> None:
    assert not unsupported(error)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_other_statuses_are_about_something_else(status: int) -> None:
    assert not unsupported(openai("Unrecognized request argument supplied: stream_options"), status)


def test_the_other_name_of_the_limit_is_tried_once() -> None:
    error = openai("Unknown parameter: 'max_completion_tokens'.", "max_completion_tokens", "unknown_parameter")
    assert not unsupported(error, drops=("max_tokens",))

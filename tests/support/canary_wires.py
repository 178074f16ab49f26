"""Words through the wires beside OpenAI's chat: in every place of a body, to every kind of provider and its faults."""

import asyncio
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx2

from tests.support.canaries import ASKED, ATTACHED, HEADERS, NAMED
from tests.support.doubles.echo_provider import FAULTS, PROVIDERS, WORD
from tests.support.media_stack import Customer

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
RESPONSES, COUNT_INPUT = "/v1/responses", "/v1/responses/input_tokens"
COMPACT = "/v1/responses/compact"
COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
TOOL = f"find_{ASKED}"
_SCHEMA = {
    "type": "object",
    "description": ASKED,
    "properties": {ASKED: {"type": "string", "default": ASKED, "enum": [ASKED]}},
}
_LINK = f"https://pictures.example/{ASKED}"
_CACHED = {"cache_control": {"type": "ephemeral"}}
_OF_ANYBODY = {"user": ASKED, "safety_identifier": ASKED, "prompt_cache_key": ASKED, NAMED: {NAMED: ASKED}}
_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ATTACHED}}
_CLAUDES_ANSWER = [
    {"type": "thinking", "thinking": f"thought {ASKED}", "signature": ATTACHED},
    {"type": "redacted_thinking", "data": ATTACHED},
    {"type": "text", "text": f"I find {ASKED}"},
    {"type": "tool_use", "id": f"toolu_{ASKED}", "name": TOOL, "input": {ASKED: [ASKED]}},
]
_CLAUDES_RESULT = {"type": "tool_result", "tool_use_id": f"toolu_{ASKED}", "is_error": True}
_MESSAGES: dict[str, Any] = {
    "system": [{"type": "text", "text": f"system {ASKED}", **_CACHED}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": f"look up {ASKED}", **_CACHED}]},
        {"role": "assistant", "content": _CLAUDES_ANSWER},
        {"role": "user", "content": [{**_CLAUDES_RESULT, "content": [{"type": "text", "text": ASKED}]}]},
        {"role": "assistant", "content": f"it is {ASKED}"},
        {"role": "user", "content": f"and {ASKED}"},
    ],
    "tools": [{"name": TOOL, "description": ASKED, "input_schema": _SCHEMA, "input_examples": [{ASKED: ASKED}]}],
    "tool_choice": {"type": "tool", "name": TOOL},
    "stop_sequences": [f"stop {ASKED}"],
    "metadata": {"user_id": ASKED},
    "max_tokens": 500,
    **_OF_ANYBODY,
}
_ATTACHED_TO_MESSAGES = [
    _IMAGE,
    {"type": "image", "source": {"type": "url", "url": f"{_LINK}.png"}},
    {
        "type": "document",
        "title": ASKED,
        "context": ASKED,
        "citations": {"enabled": True},
        "source": {"type": "base64", "media_type": "application/pdf", "data": ATTACHED},
    },
    {"type": "document", "title": ASKED, "source": {"type": "text", "media_type": "text/plain", "data": ASKED}},
    {"type": "document", "source": {"type": "url", "url": f"{_LINK}.pdf"}},
    {"type": "search_result", "title": ASKED, "source": _LINK, "content": [{"type": "text", "text": ASKED}]},
    {"type": "text", "text": ASKED},
]
_RESPONSES: dict[str, Any] = {
    "instructions": f"system {ASKED}",
    "input": [
        {"role": "developer", "content": f"always {ASKED}"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"look up {ASKED}"}]},
        {
            "type": "reasoning",
            "id": f"rs_{ASKED}",
            "summary": [{"type": "summary_text", "text": ASKED}],
            "encrypted_content": ATTACHED,
        },
        {
            "type": "message",
            "id": f"msg_{ASKED}",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": f"I find {ASKED}", "annotations": []}],
        },
        {"type": "function_call", "call_id": f"call_{ASKED}", "name": TOOL, "arguments": json.dumps({ASKED: ASKED})},
        {"type": "function_call_output", "call_id": f"call_{ASKED}", "output": f"found {ASKED}"},
        {"type": "custom_tool_call", "call_id": "call_own", "name": f"own_{ASKED}", "input": ASKED},
        {"type": "custom_tool_call_output", "call_id": "call_own", "output": ASKED},
        {"role": "user", "content": f"and {ASKED}"},
    ],
    "tools": [
        {"type": "function", "name": TOOL, "description": ASKED, "parameters": _SCHEMA, "strict": False},
        {"type": "custom", "name": f"own_{ASKED}", "description": ASKED},
        {
            "type": "namespace",
            "name": f"space_{ASKED}",
            "description": ASKED,
            "tools": [{"type": "function", "name": TOOL, "description": ASKED, "parameters": _SCHEMA}],
        },
    ],
    "tool_choice": {"type": "function", "name": TOOL},
    "text": {"format": {"type": "json_schema", "name": "form", "description": ASKED, "schema": _SCHEMA}},
    "metadata": {ASKED: ASKED},
    "max_output_tokens": 500,
    **_OF_ANYBODY,
}
_ATTACHED_TO_RESPONSES = [
    {"type": "input_image", "image_url": f"data:image/png;base64,{ATTACHED}"},
    {"type": "input_image", "image_url": f"{_LINK}.png"},
    {"type": "input_file", "filename": f"{ASKED}.pdf", "file_data": f"data:application/pdf;base64,{ATTACHED}"},
    {"type": "input_file", "file_url": f"{_LINK}.pdf"},
    {"type": "input_text", "text": ASKED},
]
_PROMPT: dict[str, Any] = {"prompt": f"once {ASKED}", "stop": [f"stop {ASKED}"], "max_tokens": 500, **_OF_ANYBODY}
BODIES: Mapping[str, Sequence[dict[str, Any]]] = {
    MESSAGES: (
        _MESSAGES,
        {**_MESSAGES, "system": ASKED, "messages": [{"role": "user", "content": _ATTACHED_TO_MESSAGES}]},
    ),
    RESPONSES: (
        _RESPONSES,
        {**_RESPONSES, "input": [{"role": "user", "content": _ATTACHED_TO_RESPONSES}]},
        {"input": ASKED, **_OF_ANYBODY},
    ),
    COMPACT: (_RESPONSES, {"input": ASKED, **_OF_ANYBODY}),
    COMPLETIONS: (_PROMPT, {**_PROMPT, "prompt": [ASKED, ASKED], "suffix": f"end {ASKED}"}),
    EMBEDDINGS: ({"input": f"a text {ASKED}", **_OF_ANYBODY}, {"input": [f"a text {ASKED}"], **_OF_ANYBODY}),
}
ABOUT = HEADERS | {
    "anthropic-beta": ASKED,
    "anthropic-version": ASKED,
    "openai-organization": ASKED,
    "x-stainless-lang": ASKED,
    "http-referer": f"https://{ASKED}.example",
    "x-title": ASKED,
}


def _calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each body of each wire, to each provider with each of its faults, whole and streamed."""
    for path, bodies in BODIES.items():
        whole_only = path in (EMBEDDINGS, COMPACT)
        providers = ["embed"] if path == EMBEDDINGS else list(PROVIDERS)
        for number, body in enumerate(bodies):
            for model in [f"{provider}-{name}" for provider in providers for name in ("echoes", *FAULTS)]:
                # a whole answer or a stream, in turn, of what is no body's first form
                ways = (False,) if whole_only else (False, True) if not number else (number % 2 == 1,)
                for stream in ways:
                    yield path, {**body, "model": model} | ({"stream": True} if stream else {})


async def called(customer: Customer) -> None:
    """What providers quote in an error reaches nobody; an answer reaches its client alone."""
    room = asyncio.Semaphore(24)

    async def call(path: str, body: dict[str, Any]) -> None:
        headers = ABOUT | {"idempotency-key": f"{ASKED}-{hash(json.dumps(body))}"}
        async with room:
            answer = await customer.http.post(path, json=body, headers=headers)
        what = (path, body["model"], body.get("stream"), answer.status_code)
        assert ASKED not in str(answer.headers), what
        if answer.status_code != 200:
            assert not any(word in answer.text for word in (ASKED, WORD)), (what, answer.text)
        elif not body["model"].endswith(("echoes", "cut")):
            assert body.get("stream"), (what, answer.text)
        if body["model"].endswith("fails"):
            assert answer.status_code >= 400, what

    await asyncio.gather(*(call(*each) for each in _calls()))
    counted = {name: value for name, value in _MESSAGES.items() if name != "max_tokens"}
    for path, body in ((COUNT, counted), (COUNT, {**counted, "system": ASKED}), (COUNT_INPUT, _RESPONSES)):
        answer = await customer.http.post(path, json={**body, "model": "claude-echoes"}, headers=ABOUT)
        assert (answer.status_code, "input_tokens" in answer.json()) == (200, True), answer.text
        assert ASKED not in answer.text


async def mistaken(customer: Customer) -> None:
    """Each value of each body is something else, in turn: no error quotes it."""
    room = asyncio.Semaphore(24)

    async def call(path: str, body: dict[str, Any]) -> httpx2.Response:
        async with room:
            return await customer.http.post(path, json=body, headers=ABOUT)

    wrong = [
        (path, {**each, "model": "demo-embedding" if path == EMBEDDINGS else "demo-chat"})
        for path, bodies in (*BODIES.items(), (COUNT, (_MESSAGES,)), (COUNT_INPUT, (_RESPONSES,)))
        for body in bodies
        for value in (ASKED, {NAMED: [ASKED]})
        for each in _with(body, value)
    ]
    for (path, body), answer in zip(wrong, await asyncio.gather(*(call(*each) for each in wrong)), strict=True):
        assert answer.status_code < 500, (path, answer.text, body)
        if answer.status_code >= 400:
            assert ASKED not in answer.text + str(answer.headers), (path, answer.text)


def _with(body: dict[str, Any], value: Any) -> Iterator[dict[str, Any]]:
    """Bodies with this value in one place each."""
    for place in _places(body):
        changed = copy.deepcopy(body)
        at: Any = changed
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = value
        yield changed


def _places(value: Any) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield (step,)
        yield from ((step, *rest) for rest in _places(inner))

"""Vendors that speak OpenAI's chat, each in its own dialect: what it refuses, how it streams, where its usage is.

A vendor is a part of the path: `http://…/groq/v1`. All bill 1,000 tokens of input and 200 of output, and answer ANSWER.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles.entries import text_model
from tests.support.doubles.threaded_app import ThreadedApp

ANSWER = "The answer is four."
THOUGHT = "Two and two."
KEY = "sk-of-the-vendor"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
ARGUMENTS = '{"city": "Paris"}'
ErrorAnswer = tuple[int, Any]
Events = Iterator[Any]
"""Chunks, or texts that are written as they are."""


@dataclass(frozen=True, slots=True)
class Dialect:
    events: Callable[[dict[str, Any]], Events]
    message: Callable[[dict[str, Any]], dict[str, Any]]
    refuses: Callable[[dict[str, Any]], ErrorAnswer | None] = lambda body: None
    usage: Mapping[str, Any] = field(default_factory=lambda: USAGE)
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Fields beside the choices of a whole answer."""


def chunk(delta: Any, finish: str | None = None, **beside: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **beside}


def called(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}, **fields}


def usual(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("tools"):
        return {"role": "assistant", "content": None, "tool_calls": [called(id="call_1")]}
    return {"role": "assistant", "content": ANSWER}


def error(message: str, param: str | None = None, code: Any = None, **fields: Any) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}, **fields}


def _extra(place: list[Any]) -> dict[str, Any]:
    return {"type": "extra_forbidden", "loc": ["body", *place], "msg": "Extra inputs are not permitted"}


def forbidden(*names: str) -> Callable[[dict[str, Any]], ErrorAnswer | None]:
    """A server on FastAPI that takes no field beyond its own."""

    def refuses(body: dict[str, Any]) -> ErrorAnswer | None:
        detail = [_extra([name]) for name in names if name in body]
        return (422, {"detail": detail}) if detail else None

    return refuses


def _vllm(body: dict[str, Any]) -> Events:
    includes = (body.get("stream_options") or {}).get("include_usage")
    yield chunk({"role": "assistant", "content": ""})
    yield chunk({"reasoning_content": THOUGHT})
    if body.get("tools"):
        yield chunk({"tool_calls": [called(id="chatcmpl-tool-1", index=0)]})
    else:
        yield from (chunk({"content": word}) for word in ("The answer ", "is four."))
    yield chunk({}, "tool_calls" if body.get("tools") else "stop")
    if includes:
        yield {**chunk({}), "choices": [], "usage": USAGE}


def _vllm_refuses(body: dict[str, Any]) -> ErrorAnswer | None:
    if any(message["role"] == "developer" for message in body["messages"]):
        return 400, {
            "object": "error",
            "message": "Unexpected role developer in the chat template: not supported",
            "code": 400,
        }
    return None


def _modern_refuses(body: dict[str, Any]) -> ErrorAnswer | None:
    """A reasoning model of OpenAI's."""
    if "max_tokens" in body:
        text = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return 400, error(text, "max_tokens", "unsupported_parameter")
    if "temperature" in body:
        text = "Unsupported value: 'temperature' does not support 0.5. Only the default (1) value is supported."
        return 400, error(text, "temperature", "unsupported_value")
    if "response_format" in body:
        return 400, error("Unsupported parameter: 'response_format'.", "response_format", "unsupported_parameter")
    return None


def _groq(body: dict[str, Any]) -> Events:
    yield chunk({"role": "assistant", "content": None}, x_groq={"id": "req_1"})
    yield chunk({"reasoning": THOUGHT, "channel": "analysis"})
    if body["model"] == "breaks":
        yield chunk({"content": ANSWER})
        yield f"event: error\ndata: {json.dumps(error('SECRET', code='tool_use_failed', status_code=400))}\n\n"
        return
    if body.get("tools"):
        yield chunk({"tool_calls": [called(id="fc_1", index=0)]})
    else:
        yield chunk({"content": ANSWER})
    finish = "tool_calls" if body.get("tools") else "stop"
    yield chunk({}, finish, usage=USAGE, x_groq={"id": "req_1", "usage": USAGE})


def _mistral(body: dict[str, Any]) -> Events:
    yield chunk({"role": "assistant", "content": ""})
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 128}, "service_tier": "standard"}
    if body.get("tools"):
        yield chunk({"tool_calls": [called(id="g6fVbXS8K", index=0)]}, "tool_calls", usage=usage, p="a")
        return
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]
    yield chunk({"content": thinking})
    yield chunk({"content": ANSWER}, p="abc")
    yield chunk({"content": ""}, "stop", usage=usage)


def _mistral_refuses(body: dict[str, Any]) -> ErrorAnswer | None:
    ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    if any(len(id_) != 9 or not id_.isalnum() for id_ in ids):
        text = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
        return 400, {"object": "error", "message": text, "type": "invalid_request_message_order", "code": "3280"}
    places: list[list[Any]] = [["stream_options"], ["seed"]]
    places += [["messages", n, each["role"], "reasoning_content"] for n, each in enumerate(body["messages"])]
    held = [
        place for place in places if place[0] in body and (len(place) == 1 or place[3] in body["messages"][place[1]])
    ]
    return (422, {"detail": [_extra(place) for place in held]}) if held else None


def _deepseek(body: dict[str, Any]) -> Events:
    yield chunk({"role": "assistant", "content": None, "reasoning_content": ""}, usage=None)
    yield chunk({"content": None, "reasoning_content": THOUGHT}, usage=None)
    yield chunk({"content": ANSWER, "reasoning_content": None}, usage=None)
    usage = {**USAGE, "prompt_cache_hit_tokens": 400, "prompt_cache_miss_tokens": 600}
    yield chunk({"content": ""}, "stop", usage=usage)


def _deepseek_refuses(body: dict[str, Any]) -> ErrorAnswer | None:
    if (body.get("response_format") or {}).get("type") == "json_schema":
        return 400, error("This response_format type is unavailable now", code="invalid_request_error")
    if "reasoning_effort" in body:
        return 400, error("unknown field `reasoning_effort`", code="invalid_request_error")
    return None


def _perplexity(body: dict[str, Any]) -> Events:
    beside: Any = {"citations": ["https://example.test/four"], "search_results": [{"title": "Four"}]}
    for count, word in enumerate(("The answer ", "is four."), 1):
        usage = {"prompt_tokens": 1000, "completion_tokens": 100 * count, "total_tokens": 1000 + 100 * count}
        yield chunk({"role": "assistant", "content": word}, usage=usage, **beside)
    yield chunk({"role": "assistant", "content": ""}, "stop", usage=USAGE, **beside)


def _azure(body: dict[str, Any]) -> Events:
    filters = {"hate": {"filtered": False, "severity": "safe"}}
    yield {
        **chunk({}),
        "id": "",
        "model": "",
        "choices": [],
        "prompt_filter_results": [{"content_filter_results": filters}],
    }
    yield chunk({"role": "assistant", "content": ""})
    first = chunk({"content": ANSWER})
    first["choices"][0]["content_filter_results"] = filters
    yield first
    yield chunk({}, "content_filter" if body["model"] == "filtered" else "stop")
    if body.get("stream_options"):
        yield {**chunk({}), "choices": [], "usage": USAGE}


def _azure_refuses(body: dict[str, Any]) -> ErrorAnswer | None:
    if "attack" in json.dumps(body["messages"]):
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"jailbreak": {"filtered": True}}}
        text = "The response was filtered due to the prompt triggering content management policy. SECRET"
        return 400, error(text, "prompt", "content_filter") | {"innererror": inner}
    return None


def _openrouter(body: dict[str, Any]) -> Events:
    beside = {"provider": "SECRET"}
    details = [{"type": "reasoning.text", "text": THOUGHT, "signature": "signed", "index": 0}]
    yield ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
    yield chunk({"role": "assistant", "content": "", "reasoning": THOUGHT, "reasoning_details": details}, **beside)
    yield chunk({"role": "assistant", "content": ANSWER}, **beside)
    if body["model"] == "breaks":
        failed = chunk({"content": ""}, "error", **beside)
        yield failed | {"error": {"code": 502, "message": "SECRET", "metadata": {"provider_name": "SECRET"}}}
        return
    yield chunk({"role": "assistant", "content": ""}, "stop", **beside)
    usage = {**USAGE, "cost": 123.45, "is_byok": False, "cost_details": {"upstream_inference_cost": 99}}
    yield chunk({"role": "assistant", "content": ""}, "stop", usage=usage, **beside)


def _ollama(body: dict[str, Any]) -> Events:
    yield chunk({"role": "assistant", "content": f"<think>{THOUGHT}"})
    yield chunk({"role": "assistant", "content": "</think>\n\n"})
    yield chunk({"role": "assistant", "content": ANSWER})
    yield chunk({"role": "assistant", "content": ""}, "stop")
    if body.get("stream_options"):
        yield {**chunk({}), "choices": [], "usage": USAGE}


def _cerebras(body: dict[str, Any]) -> Events:
    fingerprint: Any = {"system_fingerprint": "fp_1"}
    yield chunk({"role": "assistant"}, **fingerprint)
    yield chunk({"reasoning": THOUGHT}, **fingerprint)
    yield chunk({"content": ANSWER}, **fingerprint)
    yield chunk({}, "stop", usage=USAGE, time_info={"queue_time": 0.1}, **fingerprint)


def _thinks(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda body: usual(body) | {name: THOUGHT}


DIALECTS: Mapping[str, Dialect] = {
    "vllm": Dialect(_vllm, _thinks("reasoning_content"), _vllm_refuses),
    "strict": Dialect(_vllm, usual, forbidden("stream_options", "parallel_tool_calls", "seed")),
    "modern": Dialect(_vllm, usual, _modern_refuses),
    "groq": Dialect(_groq, _thinks("reasoning"), beside={"x_groq": {"id": "SECRET"}}),
    "mistral": Dialect(_mistral, usual, _mistral_refuses),
    "deepseek": Dialect(_deepseek, _thinks("reasoning_content"), _deepseek_refuses),
    "perplexity": Dialect(_perplexity, usual, beside={"citations": ["https://example.test/four"]}),
    "azure": Dialect(_azure, usual, _azure_refuses),
    "openrouter": Dialect(
        _openrouter, _thinks("reasoning"), usage={**USAGE, "cost": 123.45}, beside={"provider": "SECRET"}
    ),
    "ollama": Dialect(_ollama, lambda body: usual(body) | {"content": f"<think>{THOUGHT}</think>\n\n{ANSWER}"}),
    "cerebras": Dialect(_cerebras, _thinks("reasoning"), beside={"time_info": {"queue_time": 0.1}}),
}


@dataclass(slots=True)
class DialectServer(ThreadedApp):
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all requests, with their vendor as `vendor`."""

    def root(self, vendor: str = "") -> str:
        """The address that a vendor's own SDK is given. Azure has none of its own here."""
        return f"http://127.0.0.1:{self.port}/{vendor}".rstrip("/")

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/{vendor}/v1/chat/completions", self._chat)
        app.router.add_post("/{vendor}/openai/v1/chat/completions", self._chat)
        app.router.add_post("/openai/deployments/{deployment}/chat/completions", self._chat)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        vendor = request.path.split("/")[1]
        if vendor == "openai":
            vendor = "azure"
            body["model"] = request.match_info["deployment"]
            if request.headers.get("api-key") != KEY or "api-version" not in request.query:
                return web.json_response({"error": {"code": "401", "message": "SECRET"}}, status=401)
        self.seen.append({**body, "vendor": vendor})
        dialect = DIALECTS[vendor]
        if error := dialect.refuses(body):
            return web.json_response(error[1], status=error[0])
        return await self._stream(request, dialect, body) if body.get("stream") else _whole(dialect, body)

    async def _stream(self, request: web.Request, dialect: Dialect, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in dialect.events(body):
            written = event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n"
            await response.write(written.encode())
        if body["model"] != "breaks":
            await response.write(b"data: [DONE]\n\n")
        return response


def _whole(dialect: Dialect, body: dict[str, Any]) -> web.Response:
    message = dialect.message(body)
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return web.json_response({**answer, "usage": dialect.usage, **dialect.beside})


OWN: Mapping[str, str] = {
    "strict": "",
    "modern": "",
    "vllm": 'capabilities = ["developer_role", "template_thinking"]',
    "groq": 'capabilities = ["think_tags"]',
    "mistral": 'capabilities = ["short_tool_ids"]\nrenames = { seed = "random_seed" }',
    "deepseek": 'capabilities = ["thinking_type", "json_object_only"]',
    "perplexity": "",
    "azure": "",
    "openrouter": "",
    "ollama": 'capabilities = ["think_tags"]',
    "cerebras": 'capabilities = ["max_completion_tokens"]',
}
"""What an operator writes of each vendor beside its address."""


def catalog(server: DialectServer) -> str:
    entries = []
    for vendor, own in OWN.items():
        kind = vendor if vendor in ("azure", "openrouter") else "openai"
        address = server.root() if vendor == "azure" else f"{server.root(vendor)}/v1"
        entries.append(f"""
[providers.{vendor}-double]
kind = "{kind}"
base_url = "{address}"
api_key = "{KEY}"
{own}
""")
        entries += [
            text_model(f"{vendor}-{model}", f"{vendor}-double/{model}") for model in ("plain", "breaks", "filtered")
        ]
    return "".join(entries)

"""A provider that speaks Anthropic's Messages over real HTTP, and refuses what Anthropic refuses.

What follows `--` in the model's name chooses its behaviour: `claude-haiku-4-5--thinks`.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles import anthropic_rules
from tests.support.doubles.anthropic_rules import REDACTED, SIGNATURE
from tests.support.doubles.openai_server import Seen
from tests.support.doubles.threaded_app import ThreadedApp

KEY = "sk-ant-double"
ANSWER = "The answer is four."
THOUGHT = "Two and two are four."
Json = dict[str, Any]


def usage(given: int = 1000, output: int = 200, **counts: Any) -> Json:
    zero = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": given, "output_tokens": output, **zero, "service_tier": "standard", **counts}


CACHED = usage(
    100,
    cache_read_input_tokens=5000,
    cache_creation_input_tokens=1000,
    cache_creation={"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 700},
)
PASSES = [usage(100, 150, cache_read_input_tokens=5000), usage(200, 50)]
PAGE = "https://sums.test/four"
CITATION = {"type": "char_location", "cited_text": "4", "document_index": 0, "document_title": "sums.txt"}
CITATION |= {"start_char_index": 0, "end_char_index": 1}


def text(words: str = ANSWER, **fields: Any) -> Json:
    return {"type": "text", "text": words, **fields}


def answer(content: list[Json], counts: Json, reason: str = "end_turn", **fields: Any) -> Json:
    ids: Json = {"id": "msg_double", "type": "message", "role": "assistant", "model": "claude-of-the-double"}
    return {**ids, "content": content, "stop_reason": reason, "stop_sequence": None, **fields, "usage": counts}


def _thinks(body: Json) -> Json:
    if (body.get("thinking") or {}).get("type") in (None, "disabled"):
        return answer([text()], usage())
    thoughts = [
        {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": REDACTED},
    ]
    calls = [] if _result_of(body) or not body.get("tools") else [_call(body, 0)]
    content = [*thoughts, text(), *calls]
    return answer(content, usage(1000, 500, output_tokens_details={"thinking_tokens": 300}), _end(calls))


def _calls(body: Json) -> Json:
    if result := _result_of(body):
        return answer([text(f"It says: {result}")], usage())
    alone = (body.get("tool_choice") or {}).get("disable_parallel_tool_use")
    calls = [_call(body, number) for number in range(1 if alone else 2)]
    return answer([text("I look."), *calls], usage(), "tool_use")


def _call(body: Json, number: int) -> Json:
    tool = body["tools"][0]
    given = {"city": ("Paris", "Rome")[number]} if tool["input_schema"].get("properties") else {}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": tool["name"], "input": given}


def _end(calls: list[Json]) -> str:
    return "tool_use" if calls else "end_turn"


def _result_of(body: Json) -> str:
    content = body["messages"][-1]["content"]
    results = [block for block in content if isinstance(block, dict) and block["type"] == "tool_result"]
    return ", ".join(str(block.get("content")) + " (error)" * block.get("is_error", False) for block in results)


def _searches(_: Json) -> Json:
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    pages = [{"type": "web_search_result", "url": PAGE, "title": "Sums", "encrypted_content": "e", "page_age": None}]
    source = {"type": "web_search_result_location", "url": PAGE, "title": "Sums", "cited_text": "4"}
    content: list[Json] = [
        call,
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": pages},
        text(citations=[source | {"encrypted_index": "i"}]),
    ]
    return answer(content, usage(380_000, server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0}))


def _rereads(body: Json) -> Json:
    """Report more tokens than Anthropic counts of results of searches: a third of the request's characters."""
    return answer([text()], usage(len(json.dumps(body["messages"])) // 3, 50))


def _pauses(times: int) -> Callable[[Json], Json]:
    """Search once in each part, and pause so many times."""

    def part(body: Json) -> Json:
        number = parts_before(body)
        query = {"query": f"sum {number}"}
        call = {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": "web_search", "input": query}
        result = {"type": "web_search_tool_result", "tool_use_id": call["id"], "content": []}
        pauses = number < times and body.get("tools")
        counts = usage(50_000, 100, server_tool_use={"web_search_requests": 1, "web_fetch_requests": 0})
        return answer([text(f"Part {number}."), call, result], counts, "pause_turn" if pauses else "end_turn")

    return part


def parts_before(body: Json) -> int:
    """Count the parts of the answer that the request continues."""
    last = body["messages"][-1]
    blocks = last["content"] if last["role"] == "assistant" and isinstance(last["content"], list) else []
    return sum(block["type"] == "server_tool_use" for block in blocks)


def _formats(body: Json) -> Json:
    form = (body.get("output_config") or {}).get("format")
    return answer([text('{"name":"Ada"}' if form else ANSWER)], usage())


def _ends(reason: str, **details: Any) -> Callable[[Json], Json]:
    return lambda _: answer([text()], usage(), reason, **details)


ANSWERS: Mapping[str, Callable[[Json], Json]] = {
    "plain": _ends("end_turn"),
    "thinks": _thinks,
    "calls": _calls,
    "formats": _formats,
    "searches": _searches,
    "rereads": _rereads,
    "caches": lambda _: answer([text()], CACHED),
    "passes": lambda _: answer([text()], usage(200, 50, iterations=PASSES)),
    "cites": lambda _: answer([text(citations=[CITATION])], usage()),
    "refuses": _ends("refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "No."}),
    "pauses": _ends("pause_turn"),
    "pauses-once": _pauses(1),
    "pauses-twice": _pauses(2),
    "pauses-always": _pauses(99),
    "pauses-breaks": _pauses(1),
    "pauses-lingers": _pauses(1),
    "full": _ends("model_context_window_exceeded"),
    "stops": _ends("stop_sequence", stop_sequence="x"),
    "absurd": lambda _: answer([text()], usage(-1, 10**12)),
    "silent": lambda _: answer([text()], {}),
    "tomorrow": lambda _: answer([{"type": "hologram", "shape": "x"}, text()], usage()),
}
FAULTS = {
    "later": (429, "rate_limit_error", "Number of request tokens has exceeded your per-minute rate limit"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "broken": (500, "api_error", "Internal server error"),
    "slow": (504, "timeout_error", "Request timed out"),
    "forbidden": (403, "permission_error", "SECRET may not use this model"),
    "unpaid": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "lost": (404, "not_found_error", "model: SECRET"),
    "too-long": (400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum"),
}
BREAKS = ("cuts", "breaks", "breaks-early")
"""Streams that end in the middle, with an error after some output, and with one before any."""


@dataclass(slots=True)
class AnthropicServer(ThreadedApp):
    seen: list[Seen] = field(default_factory=list)
    aborted: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/messages", self._messages)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(body, {name.lower(): value for name, value in request.headers.items()}))
        if (error := _refused(request, body)) is not None:
            return error
        behaviour = body["model"].rpartition("--")[2]
        if behaviour in BREAKS:
            return await self._broken(request, behaviour)
        if parts_before(body) and behaviour in ("pauses-breaks", "pauses-lingers"):
            return await self._goes_on_badly(request, body, lingers=behaviour == "pauses-lingers")
        message = ANSWERS[behaviour](body)
        if not body.get("stream"):
            return web.json_response(message, headers={"request-id": "req_double"})
        return await _stream(request, b"".join(events(message)))

    async def _goes_on_badly(self, request: web.Request, body: Json, *, lingers: bool) -> web.StreamResponse:
        """Begin the next part of a stream, and then break, or take a second for the rest."""
        if not body.get("stream"):
            return _failure(*FAULTS["overloaded"])
        if not lingers:
            return await self._broken(request, "breaks")
        written = list(events(answer([text("More.")], usage())))
        response = await _stream(request, b"".join(written[:4]))
        await asyncio.sleep(1)
        await response.write(b"".join(written[4:]))
        return response

    async def _broken(self, request: web.Request, behaviour: str) -> web.StreamResponse:
        written = list(events(answer([text()], usage())))
        failure = event("error", error={"type": "overloaded_error", "message": "SECRET"}, request_id="req_SECRET")
        parts = {"cuts": written[:4], "breaks": [*written[:4], failure], "breaks-early": [written[0], failure]}
        return await _stream(request, b"".join(parts[behaviour]))


async def _stream(request: web.Request, raw: bytes) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"content-type": "text/event-stream; charset=utf-8", "request-id": "req_double"}
    )
    await response.prepare(request)
    await response.write(raw)
    return response


def _refused(request: web.Request, body: Json) -> web.Response | None:
    given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if given != KEY:
        return _failure(401, "authentication_error", "invalid x-api-key")
    if "anthropic-version" not in request.headers:
        return _failure(400, "invalid_request_error", "anthropic-version: header is required")
    if (wrong := anthropic_rules.fault(body)) is not None:
        return _failure(400, "invalid_request_error", wrong)
    behaviour = body["model"].rpartition("--")[2]
    return _failure(*FAULTS[behaviour]) if behaviour in FAULTS else None


def _failure(status: int, kind: str, message: str) -> web.Response:
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_SECRET"}
    return web.json_response(error, status=status, headers={"request-id": "req_SECRET", "retry-after": "7"})


def event(kind: str, **fields: Any) -> bytes:
    """With the padding that Anthropic writes."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}      \n\n".encode()


def events(message: Json) -> Iterator[bytes]:
    """The answer as it is streamed: the first report is an estimate, the last one is cumulative."""
    counts = message["usage"]
    first = {name: count for name, count in counts.items() if name not in ("output_tokens_details", "iterations")}
    opening: Json = {"content": [], "stop_reason": None, "stop_details": None, "usage": {**first, "output_tokens": 1}}
    yield event("message_start", message={**message, **opening} if counts else {**message, "content": []})
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    ending |= {"stop_details": message.get("stop_details")}
    last = {name: count for name, count in counts.items() if name not in ("cache_creation", "service_tier")}
    yield event("message_delta", delta=ending, usage=last)
    yield event("message_stop")


def _block_events(index: int, block: Json) -> Iterator[bytes]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}, "citations": []}
    begun = {name: empty.get(name, value) if name != "type" else value for name, value in block.items()}
    yield event("content_block_start", index=index, content_block=begun)
    yield event("ping")
    for delta in _deltas(block):
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def _deltas(block: Json) -> Iterator[Json]:
    for citation in block.get("citations", ()):
        yield {"type": "citations_delta", "citation": citation}
    match block["type"]:
        case "text":
            half = len(block["text"]) // 2
            yield from ({"type": "text_delta", "text": part} for part in (block["text"][:half], block["text"][half:]))
        case "thinking":
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use" | "server_tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            if block["input"]:
                written = json.dumps(block["input"])
                yield from ({"type": "input_json_delta", "partial_json": part} for part in (written[:5], written[5:]))


def catalog(url: str) -> str:
    """A provider, and a model for each behaviour. Each meter has a price that no other one has."""
    provider = f'\n[providers.claudes]\nkind = "anthropic"\nbase_url = "{url}"\napi_key = "{KEY}"\n'
    return provider + "".join(map(_entry, (*ANSWERS, *FAULTS, *BREAKS)))


def _entry(behaviour: str) -> str:
    return f"""
[models.test-claude-{behaviour}]
context_window = 200000
max_output_tokens = 8000
input_modalities = ["text", "image", "file"]
credits_per_1k_input = 300
credits_per_1k_output = 1500
credits_per_1k_cached_input = 30
credits_per_1k_cache_write = 375
credits_per_1k_cache_write_1h = 600
credits_per_1k_web_search = 1000000
routes = [ {{ provider = "claudes", model = "claude-haiku-4-5--{behaviour}" }} ]
"""

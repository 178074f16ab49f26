"""A provider that speaks OpenAI's Responses over real HTTP. The model's name chooses what it answers."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles.openai_server import Seen
from tests.support.doubles.threaded_app import ThreadedApp

ANSWER = "The answer is four."
ENCRYPTED = "gAAAAABsecret=="
STATUSES = {
    "busy": (429, {"message": "SECRET", "code": "rate_limit_exceeded"}),
    "wrong": (400, {"message": "SECRET", "param": "input[0].content[0].text", "code": "invalid_value"}),
    "long": (400, {"message": "SECRET", "param": "input", "code": "context_length_exceeded"}),
    "unpaid": (401, {"message": "Incorrect API key provided: SECRET", "code": "invalid_api_key"}),
}
FAILS = ("fails", "overloaded", "cut")
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
CALL = {"type": "function_call", "call_id": "call_1", "name": "find_city", "status": "completed"}
CUSTOM = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "call_2", "name": "apply_patch", "status": "completed"}
MODELS = ("plain", "reasons", "calls", "patches", "refuses", "limited", "searches", *STATUSES, *FAILS)

PRICED = {"searches": "credits_per_1k_web_search = 1000000"}
"""What a catalog says of a model beyond its tokens."""


def usage(model: str) -> dict[str, Any]:
    """1,000 tokens in, of which 600 come from a cache; 200 out, of which the model may think 50."""
    return {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 0},
        "output_tokens": 200,
        "output_tokens_details": {"reasoning_tokens": 50 if model == "reasons" else 0},
        "total_tokens": 1200,
    }


def message(part: dict[str, Any]) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def output(model: str) -> list[dict[str, Any]]:
    text = message({"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": []})
    match model:
        case "reasons":
            summary = [{"type": "summary_text", "text": "Two and two."}]
            return [{"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": ENCRYPTED}, text]
        case "calls":
            return [{**CALL, "id": "fc_1", "arguments": '{"city": "Rome"}'}]
        case "patches":
            return [{**CUSTOM, "input": "*** Begin"}]
        case "refuses":
            return [message({"type": "refusal", "refusal": "I cannot help."})]
        case "searches":
            cited = {"type": "url_citation", "start_index": 0, "end_index": 3, "title": "T", "url": "https://x.test/"}
            part = {"type": "output_text", "text": ANSWER, "annotations": [cited], "logprobs": []}
            return [SEARCH, message(part)]
    return [text]


def response(body: dict[str, Any], status: str) -> dict[str, Any]:
    """A response as OpenAI writes it: it repeats the request, and says who pays."""
    text = {"format": {"type": "text"}, "verbosity": "medium"}
    done = status in ("completed", "incomplete")
    return {
        "id": "resp_SECRET",
        "object": "response",
        "created_at": 1,
        "status": status,
        "background": False,
        "billing": {"payer": "SECRET"},
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": {},
        "model": f"{body['model']}-SECRET",
        "output": output(body["model"]) if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {**text, **(body.get("text") or {})},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage(body["model"]) if done else None,
        "user": None,
    }


def events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of the answer, as OpenAI sends them. A model that fails has the first half of them."""
    model = body["model"]
    yield {"type": "response.created", "response": response(body, "in_progress")}
    yield {"type": "response.in_progress", "response": response(body, "in_progress")}
    if model in ("fails", "overloaded"):
        code = "server_error" if model == "fails" else "rate_limit_exceeded"
        yield {"type": "error", "error": {"type": code, "code": code, "message": "SECRET", "param": None}}
        failed = {**response(body, "failed"), "error": {"code": code, "message": "SECRET"}}
        yield {"type": "response.failed", "response": failed}
        return
    for at, item in enumerate(output(model)):
        yield from _item(item, at)
        if model == "cut":
            return
    end = "incomplete" if model == "limited" else "completed"
    yield {"type": f"response.{end}", "response": response(body, end)}


def _item(item: dict[str, Any], at: int) -> Iterator[dict[str, Any]]:
    empty = {
        name: type(value)() if name in ("content", "arguments", "input", "summary") else value
        for name, value in item.items()
    } | {"status": "in_progress"}
    if item["type"] == "reasoning":
        empty |= {"encrypted_content": "gAAAAABanother=="}
    yield {"type": "response.output_item.added", "output_index": at, "item": empty}
    place = {"item_id": item["id"], "output_index": at}
    match item["type"]:
        case "message":
            yield from _part(item["content"][0], {**place, "content_index": 0})
        case "reasoning":
            text = item["summary"][0]["text"]
            place = {**place, "summary_index": 0}
            part = {"type": "summary_text", "text": ""}
            yield {"type": "response.reasoning_summary_part.added", **place, "part": part}
            yield {"type": "response.reasoning_summary_text.delta", **place, "delta": text}
            yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
            yield {"type": "response.reasoning_summary_part.done", **place, "part": {**part, "text": text}}
        case "function_call" | "custom_tool_call" as kind:
            name, field_name = ("function_call_arguments", "arguments")
            if kind == "custom_tool_call":
                name, field_name = ("custom_tool_call_input", "input")
            for text in (item[field_name][:5], item[field_name][5:]):
                yield {"type": f"response.{name}.delta", **place, "delta": text}
            yield {"type": f"response.{name}.done", **place, field_name: item[field_name]}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _part(part: dict[str, Any], place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name, field_name = ("output_text", "text") if part["type"] == "output_text" else ("refusal", "refusal")
    more: dict[str, Any] = {"logprobs": []} if name == "output_text" else {}
    empty = {**part, field_name: "", **({"annotations": []} if more else {})}
    yield {"type": "response.content_part.added", **place, "part": empty}
    for number, text in enumerate(part[field_name].split(" ")):
        delta = text if number == 0 else f" {text}"
        yield {"type": f"response.{name}.delta", **place, "delta": delta, "obfuscation": "x9", **more}
    for index, annotation in enumerate(part.get("annotations", ())):
        added = {"annotation_index": index, "annotation": annotation}
        yield {"type": "response.output_text.annotation.added", **place, **added}
    yield {"type": f"response.{name}.done", **place, field_name: part[field_name], **more}
    yield {"type": "response.content_part.done", **place, "part": part}


@dataclass(slots=True)
class ResponsesServer(ThreadedApp):
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/responses", self._respond)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(body, dict(request.headers)))
        model = body["model"]
        if model in STATUSES:
            status, error = STATUSES[model]
            return web.json_response({"error": {"type": "x", "param": None, **error}}, status=status)
        if body.get("stream"):
            return await self._stream(request, body)
        if model in FAILS:
            failed = {**response(body, "failed"), "error": {"code": "server_error", "message": "SECRET"}}
            return web.json_response(failed)
        return web.json_response(response(body, "incomplete" if model == "limited" else "completed"))

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await answer.prepare(request)
        for number, event in enumerate(events(body)):
            data = json.dumps({**event, "sequence_number": number})
            await answer.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
            await asyncio.sleep(0)
        return answer

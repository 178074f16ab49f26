"""A provider that quotes what it was asked in everything it says: answers, errors, headers, pages."""

import asyncio
import json
from typing import Any

from aiohttp import web

from tests.support.canaries import word
from tests.support.doubles.entries import text_model
from tests.support.doubles.openai_server import OpenAIServer, event

WORD = word()
"""What it adds of its own."""
MODALITIES = '["text", "image", "audio", "file"]'
MODELS = ("echoes", "fails", "refuses", "page", "garbage", "inside", "cut", "hangs", "stalls")


class EchoProvider(OpenAIServer):
    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        quoted = json.dumps(body["messages"]) + WORD
        error = {"error": {"message": quoted, "type": quoted, "param": quoted, "code": quoted}}
        headers = {"x-quoted": WORD, "openai-organization": WORD}
        match body["model"]:
            case "fails":
                return web.json_response(error, status=500, headers=headers)
            case "refuses":
                return web.json_response(error, status=400, headers=headers)
            case "page":
                return web.Response(text=f"<html>{quoted}</html>", content_type="text/html", headers=headers)
            case "hangs":
                await asyncio.to_thread(self.release.wait, 30)
        if body.get("stream"):
            return await self._streamed(request, body, quoted, error)
        if body["model"] == "garbage":
            return web.Response(text="{" + quoted, content_type="application/json", headers=headers)
        if body["model"] == "inside":
            return web.json_response(error, headers=headers)
        call = {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": quoted}}
        message = {"role": "assistant", "content": quoted, "tool_calls": [call]}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return web.json_response({"id": WORD, "object": "chat.completion", "choices": [choice]}, headers=headers)

    async def _streamed(
        self, request: web.Request, body: dict[str, Any], quoted: str, error: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        lines = [event(body, {"role": "assistant", "content": quoted}), f": {quoted}\n\n"]
        lines += {
            "garbage": [f"data: {{{quoted}\n\n"],
            "inside": [f"data: {json.dumps(error)}\n\n"],
            "cut": [],
        }.get(body["model"], [event(body, {"content": WORD}), event(body, {}, finish="stop"), "data: [DONE]\n\n"])
        for line in lines:
            await response.write(line.encode())
            if body["model"] == "stalls":
                await asyncio.to_thread(self.release.wait, 30)
        return response


def catalog(upstream: str) -> str:
    provider = f'[providers.foreign]\nkind = "openai"\nbase_url = "{upstream}"\n'
    models = "".join(text_model(f"test-{name}", f"foreign/{name}") for name in MODELS)
    models += text_model("test-free", "foreign/echoes") + 'tags = ["free"]\n'
    return provider + models.replace('"text"\n', f'"text"\ninput_modalities = {MODALITIES}\n')

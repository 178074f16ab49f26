"""Providers that quote what they were asked in everything they say: answers, errors, headers, pages."""

import asyncio
import json
from functools import partial
from typing import Any

from aiohttp import web

from tests.support.canaries import word
from tests.support.doubles.echo_wires import WIRES, Wire, event
from tests.support.doubles.entries import embedding_model, text_model
from tests.support.doubles.openai_server import OpenAIServer

WORD = word()
"""What they add of their own."""
KEY = word()
"""Theirs."""
MODALITIES = '["text", "image", "audio", "file"]'
FAULTS = ("fails", "refuses", "page", "garbage", "inside", "cut")
MODELS = ("echoes", *FAULTS, "hangs", "stalls")
PROVIDERS = {"test": "openai", "texts": "openai", "claude": "anthropic", "gemini": "gemini"}
"""The kinds of the providers, by what the names of their models begin with."""


class EchoProvider(OpenAIServer):
    def routes(self, app: web.Application) -> None:
        for path, wire in WIRES.items():
            app.router.add_post(path, partial(self._answer, wire))

    async def _answer(self, wire: Wire, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = request.match_info.get("model") or body["model"]
        quoted = json.dumps(body) + WORD
        failure = {"message": quoted, "type": quoted, "param": quoted, "code": quoted, "status": quoted}
        error = {"type": "error", "error": failure, "request_id": quoted}
        headers = {"x-quoted": WORD, "openai-organization": WORD, "request-id": WORD}
        match model:
            case "fails":
                return web.json_response(error, status=500, headers=headers)
            case "refuses":
                return web.json_response(error, status=400, headers=headers)
            case "page":
                return web.Response(text=f"<html>{quoted}</html>", content_type="text/html", headers=headers)
            case "hangs":
                await asyncio.to_thread(self.release.wait, 30)
        if body.get("stream") or request.match_info.get("method", "").startswith("stream"):
            return await self._streamed(request, wire, model, quoted, error)
        if model in ("garbage", "cut"):
            return web.Response(text="{" + quoted, content_type="application/json", headers=headers)
        return web.json_response(error if model == "inside" else wire.whole(quoted), headers=headers)

    async def _streamed(
        self, request: web.Request, wire: Wire, model: str, quoted: str, error: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        lines = [*map(event, wire.begun(quoted)), f": {quoted}\n\n"]
        lines += {
            "garbage": [f"data: {{{quoted}\n\n"],
            "inside": [event(error)],
            "cut": [],
        }.get(model, [*map(event, wire.ended()), wire.done])
        for line in lines:
            await response.write(line.encode())
            if model == "stalls":
                await asyncio.to_thread(self.release.wait, 30)
        return response


def catalog(upstream: str) -> str:
    providers = "".join(
        f'[providers.foreign-{name}]\nkind = "{kind}"\nbase_url = "{upstream}"\napi_key = "{KEY}"\n'
        + ('capabilities = ["completions"]\n' if name == "texts" else "")
        for name, kind in PROVIDERS.items()
    )
    models = "".join(
        text_model(f"{provider}-{name}", f"foreign-{provider}/{name}") for provider in PROVIDERS for name in MODELS
    )
    models += text_model("test-free", "foreign-test/echoes") + 'tags = ["free"]\n'
    models = models.replace('"text"\n', f'"text"\ninput_modalities = {MODALITIES}\n')
    return providers + models + "".join(embedding_model(f"embed-{name}", f"foreign-test/{name}") for name in MODELS)

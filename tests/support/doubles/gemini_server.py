"""A provider that speaks Gemini's wire over real HTTP: AI Studio, Vertex AI and Google's token endpoint.

The model's name chooses what it answers. It is as strict as Google where adapters go wrong: an unknown field, a key in
the address, a function call without its signature, a result without its call.
"""

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.doubles import gemini_rules
from tests.support.doubles.threaded_app import ThreadedApp
from tests.support.gemini_answers import BLOCKED, IMAGE, SAFE_END, error, event, function, response, retry_info, text

KEY = "gemini-key-0123"
SIGNATURE = "c2lnbmF0dXJl"
LARGE = 4 * 1024 * 1024
"""Letters of an image as it comes from models that make large ones."""
ANSWER = "The answer is four."
PROMPT = {"promptTokenCount": 1000, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}]}
PLAIN = PROMPT | {"candidatesTokenCount": 150, "thoughtsTokenCount": 50, "totalTokenCount": 1200}
GROUNDING = {
    "webSearchQueries": ["two and two", "four"],
    "groundingChunks": [{"web": {"uri": "https://sums.test/4", "title": "Sums"}}],
    "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 19}, "groundingChunkIndices": [0]}],
}


def _details(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in counts.items()]


METERS: dict[str, dict[str, Any]] = {
    "cached": PLAIN | {"cachedContentTokenCount": 400, "cacheTokensDetails": _details(text=400)},
    "audio": PLAIN | {"promptTokensDetails": _details(text=700, audio=300)},
    "picture": PLAIN | {"promptTokensDetails": _details(text=742, image=258)},
    "search": PLAIN | {"toolUsePromptTokenCount": 119, "totalTokenCount": 1319},
    "flex": PLAIN | {"serviceTier": "flex"},
    "image": PLAIN | {"candidatesTokensDetails": _details(image=130)},
}
"""What models report that use a meter beside those of text."""


def _answer(*parts: dict[str, Any], report: dict[str, Any] = PLAIN, **candidate: Any) -> list[dict[str, Any]]:
    """A streamed answer: usage in each event, and the end in an empty text."""
    chunks = [response(part, usageMetadata=PROMPT | {"totalTokenCount": 1000}) for part in parts]
    last = response(text(""), finish="STOP", usageMetadata=report)
    last["candidates"][0] |= candidate
    return [*chunks, last]


WORDS = [text("The answer"), text(" is four.")]
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "plain": _answer(*WORDS),
    "thoughts": _answer(text("Two and two.", thought=True), *WORDS, text("", thoughtSignature=SIGNATURE)),
    "image": _answer(text("Here it is."), IMAGE, report=METERS["image"]),
    "large": _answer({"inlineData": {"mimeType": "image/png", "data": "A" * LARGE}}, report=METERS["image"]),
    "search": _answer(*WORDS, report=METERS["search"], groundingMetadata=GROUNDING),
    "blocked": [BLOCKED],
    "safety": [response(text("The")), SAFE_END],
    "limit": [
        response(finish="MAX_TOKENS", usageMetadata=PROMPT | {"thoughtsTokenCount": 50, "totalTokenCount": 1050})
    ],
    "silent": [response(text("The answer is four."), finish="STOP")],
    "tool": _answer(
        function("f", {"city": "Paris"}, thoughtSignature=SIGNATURE), function("f", {"city": "Rome"}), text("")
    ),
    **{
        name: _answer(*WORDS, report=report)
        for name, report in METERS.items()
        if name in ("cached", "audio", "picture")
    },
    "flex": _answer(*WORDS, report=METERS["flex"]),
}
FAULTS: dict[str, tuple[int, Any]] = {
    "busy": (429, error(429, "RESOURCE_EXHAUSTED", "SECRET", retry_info("34.4s"))),
    "picky": (400, error(400, "INVALID_ARGUMENT", "SECRET: Invalid value at 'generation_config.temperature'")),
    "too-long": (400, error(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens")),
    "lost": (404, error(404, "NOT_FOUND", "models/SECRET is not found for API version v1beta")),
    "broken": (500, [error(500, "INTERNAL")]),
}
BREAKS = ("cut", "dies", "malformed")
"""What begins well and fails."""


@dataclass(slots=True)
class Seen:
    """One request as it arrived."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(slots=True)
class GeminiServer(ThreadedApp):
    seen: list[Seen] = field(default_factory=list)
    minted: list[str] = field(default_factory=list)
    """Access tokens, in order."""
    aborted: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/{version}/models/{call}", self._called)
        app.router.add_post(
            "/v1beta1/projects/{project}/locations/{location}/publishers/google/models/{call}", self._called
        )
        app.router.add_post("/token", self._token)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (
            form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer"
            or str(form["assertion"]).count(".") != 2
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.minted.append(f"token-{len(self.minted)}")
        return web.json_response({"access_token": self.minted[-1], "expires_in": 3599, "token_type": "Bearer"})

    async def _called(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(request.path_qs, body, dict(request.headers)))
        model, _, method = request.match_info["call"].partition(":")
        if (unauthorized := self._unauthorized(request)) is not None:
            return _failed(*unauthorized)
        if (fault := gemini_rules.fault(body, model)) is not None:
            return _failed(400, error(400, "INVALID_ARGUMENT", fault))
        behaviour = model.rpartition("--")[2]
        if behaviour in FAULTS:
            return _failed(*FAULTS[behaviour])
        if method == "streamGenerateContent":
            return await self._stream(request, behaviour, _script(behaviour, body))
        whole = gemini_rules.joined(_script(behaviour, body))
        return web.json_response(whole)

    def _unauthorized(self, request: web.Request) -> tuple[int, Any] | None:
        if request.path.startswith("/v1beta1/"):
            known = request.headers.get("Authorization") in {f"Bearer {token}" for token in self.minted}
            return None if known else (401, error(401, "UNAUTHENTICATED"))
        if request.headers.get("x-goog-api-key") == KEY and "key" not in request.query:
            return None
        return 400, error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")

    async def _stream(self, request: web.Request, behaviour: str, script: list[dict[str, Any]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            for value in script:
                await response.write(event(value))
                await asyncio.sleep(0)
            if behaviour == "dies":
                await response.write(json.dumps(error(499, "CANCELLED"), indent=2).encode())
        except (ConnectionResetError, asyncio.CancelledError):
            self.aborted.set()
            raise
        return response


def _script(behaviour: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    if behaviour == "tool" and any("functionResponse" in part for part in body["contents"][-1]["parts"]):
        return ANSWERS["plain"]
    if behaviour in BREAKS:
        broken = ANSWERS["plain"][:2]
        return (
            [*broken, response(finish="MALFORMED_FUNCTION_CALL", usageMetadata=PLAIN)]
            if behaviour == "malformed"
            else broken
        )
    if (count := body.get("generationConfig", {}).get("candidateCount", 1)) > 1:
        return [gemini_rules.in_candidates(value, count) for value in ANSWERS[behaviour]]
    return ANSWERS[behaviour]


def _failed(status: int, value: Any) -> web.Response:
    return web.json_response(value, status=status)

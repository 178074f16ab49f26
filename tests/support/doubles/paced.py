"""A provider that stops in mid-answer until it is told to go on. The model's name says what comes then."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.support.doubles.entries import text_model
from tests.support.doubles.openai_server import USAGE, WORD, OpenAIServer, event, frame

HANG_SECONDS = 10
FIRST, REST = WORD * 2, WORD * 3
_WAIT, _FINISH, _DONE, _ERROR, _ENDLESS, _HANG = "wait", "finish", "done", "error", "endless", "hang"
Step = str | dict[str, Any]
_TWO: list[Step] = [
    {"choices": [{"index": n, "delta": {"content": WORD}, "finish_reason": None} for n in range(2)]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
"""A word of each of two choices; one of them has ended."""
_SECOND: Step = {"choices": [{"index": 1, "delta": {"content": REST}, "finish_reason": "stop"}]}

SCRIPTS: dict[str, list[Step]] = {
    "ends": [FIRST, _WAIT, REST, _FINISH, USAGE, _DONE],
    "late": [_WAIT, FIRST, REST, _FINISH, USAGE, _DONE],
    "finishing": [FIRST, _FINISH, _WAIT, USAGE, _DONE],
    "unfinished": [FIRST, _WAIT, _DONE],
    "breaks": [FIRST, _WAIT, _ERROR],
    "fails-late": [_WAIT, _ERROR],
    "cut": [FIRST, _WAIT],
    "endless": [FIRST, _WAIT, _ENDLESS],
    "hangs": [FIRST, _WAIT, _HANG],
    "faults": [FIRST, _WAIT, " FAULT", _FINISH, _DONE],
    "tells-early": [USAGE | {"completion_tokens": 0, "total_tokens": 1000}, FIRST, _WAIT, REST, _FINISH, USAGE, _DONE],
    "one-of-two": [*_TWO, _WAIT, _SECOND, USAGE, _DONE],
    "one-of-two-cut": [*_TWO, _WAIT],
    "usage-missing": [FIRST, _WAIT, REST, _FINISH, _DONE],
    "usage-absurd": [FIRST, _WAIT, REST, _FINISH, USAGE | {"prompt_tokens": 10**12}, _DONE],
    "usage-above": [FIRST, _WAIT, REST, _FINISH, USAGE | {"prompt_tokens": 90_000}, _DONE],
}


class Paced(OpenAIServer):
    def __init__(self) -> None:
        super().__init__()
        self.open = 0
        """Requests that it is still at work on."""

    def rewind(self) -> None:
        self.seen.clear()
        self.aborted.clear()
        self.release.clear()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.open += 1
        try:
            return await super()._chat(request)
        finally:
            self.open -= 1

    async def _whole(self, body: dict[str, Any]) -> web.Response:
        if body["model"] in SCRIPTS:
            await asyncio.to_thread(self.release.wait, 30)
        if body["model"] == "fails-late":
            return web.json_response({"error": {"message": "SECRET"}}, status=500)
        return await super()._whole(body)

    async def _script(self, body: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
        if body["model"] not in SCRIPTS:
            await super()._script(body, write)
        for step in SCRIPTS.get(body["model"], ()):
            while step == _WAIT and not self.release.is_set():
                await write(": waiting\n\n")
                await asyncio.sleep(0.02)
            while step == _ENDLESS:
                await write(event(body, {"content": WORD}))
                await asyncio.sleep(0.01)
            if step == _HANG:
                await asyncio.sleep(HANG_SECONDS)
            await write(_written(body, step))


def _written(body: dict[str, Any], step: Step) -> str:
    if isinstance(step, dict):
        chunk = step if "choices" in step else {"choices": [], "usage": step}
        return f"data: {json.dumps(frame(body) | chunk)}\n\n"
    marks = {
        _WAIT: ": on\n\n",
        _FINISH: event(body, {}, finish="stop"),
        _DONE: "data: [DONE]\n\n",
        _ERROR: 'data: {"error": {"message": "SECRET", "code": 500}}\n\n',
    }
    return marks.get(step) or event(body, {"content": step})


def catalog(upstream: str) -> str:
    """Every script behind a provider that stops its bill on an abort, and behind one that does not."""
    entries = []
    for provider, capabilities in (("stop", '"abort_stops_billing"'), ("drain", "")):
        entries.append(f"""
[providers.{provider}]
kind = "openai"
base_url = "{upstream}"
capabilities = [{capabilities}]
""")
        entries += [text_model(f"{provider}-{name}", f"{provider}/{name}") for name in SCRIPTS]
    return "".join(entries)

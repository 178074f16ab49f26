"""Clients of the gateway under chaos: what each asked for, and what it was told."""

import asyncio
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from bench.stack import Stack

FIRST_LIMIT = 1000
"""A call's `max_tokens` is this plus its number, so that its holds can be told from all others."""
BEHAVIOURS = {
    "plain": 30,
    "pace-20-20": 20,
    "pace-100-30": 16,
    "unmetered": 10,
    "cut-3": 10,
    "status-500": 7,
    "status-429": 7,
}
ATTEMPTS = 6
TIMEOUT = 45.0
PAUSE = 0.1


@dataclass(slots=True)
class Call:
    number: int
    model: str
    stream: bool
    leaves_after: int | None
    """Chunks after which the client goes; None: it stays."""
    key: str | None
    """An `Idempotency-Key`: then the client asks again until it knows."""
    attempts: list["Attempt"] = field(default_factory=list)

    @property
    def limit(self) -> int:
        return FIRST_LIMIT + self.number


@dataclass(slots=True)
class Attempt:
    status: int | None = None
    """None: the connection broke before any answer."""
    chat_id: str | None = None
    charged: int | None = None
    """What the gateway said that it charged."""
    whole: bool = False
    """The answer's end was seen: [DONE], or the closing brace."""
    refused: bool = False
    """A stream ended with an error event."""
    replayed: bool = False
    code: str | None = None

    @property
    def known(self) -> bool:
        """Whether the client knows how it ended."""
        return self.status is not None and (self.whole or self.refused or self.status != 200)


def script(seed: int, count: int) -> list[Call]:
    """The same calls for the same seed."""
    dice = Random(seed)  # noqa: S311  # repeatable, not secret
    calls = []
    for number in range(count):
        stream = dice.random() < 0.5
        (behaviour,) = dice.choices(list(BEHAVIOURS), list(BEHAVIOURS.values()))
        leaves = dice.randrange(1, 12) if stream and dice.random() < 0.2 else None
        keyed = leaves is None and dice.random() < 0.3
        key = f"chaos-{seed}-{number}" if keyed else None
        calls.append(Call(number, f"bench-{behaviour}", stream, leaves, key))
    return calls


@dataclass(slots=True)
class Clients:
    """So many at a time, each taking the next call of the script until the time is over."""

    stack: Stack
    calls: list[Call]
    deadline: float
    seed: int
    begun: int = 0

    async def run(self, at_once: int) -> list[Call]:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT)) as session:
            await asyncio.gather(*(self._client(session, number) for number in range(at_once)))
        return self.calls[: self.begun]

    async def _client(self, session: aiohttp.ClientSession, number: int) -> None:
        dice = Random(self.seed * 1000 + number)  # noqa: S311  # repeatable, not secret
        while self.begun < len(self.calls) and asyncio.get_running_loop().time() < self.deadline:
            call = self.calls[self.begun]
            self.begun += 1
            for _ in range(ATTEMPTS if call.key else 1):
                call.attempts.append(await ask(session, self._request(call, dice.randrange(len(self.stack.apis)))))
                if call.attempts[-1].known and call.attempts[-1].code != "idempotency_in_flight":
                    break
                await asyncio.sleep(0.5 + dice.random())
            await asyncio.sleep(dice.random() * PAUSE)

    def _request(self, call: Call, api: int) -> "Request":
        prompt = [{"role": "user", "content": f"Question {call.number}: what remains?"}]
        body = {"model": call.model, "messages": prompt, "max_tokens": call.limit, "stream": call.stream}
        return Request(self.stack.apis[api].url, self.stack.token, body, call.key, call.leaves_after)


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    token: str
    body: dict[str, Any]
    key: str | None = None
    leaves_after: int | None = None


async def ask(session: aiohttp.ClientSession, request: Request, attempt: Attempt | None = None) -> Attempt:
    """What was heard, which `attempt` tells while it is still going on."""
    attempt = attempt or Attempt()
    headers = {"authorization": f"Bearer {request.token}"}
    if request.key is not None:
        headers["idempotency-key"] = request.key
    try:
        async with session.post(f"{request.url}/v1/chat/completions", json=request.body, headers=headers) as response:
            attempt.status = response.status
            attempt.replayed = response.headers.get("idempotent-replayed") == "true"
            if request.body["stream"] and response.status == 200:
                await _read_stream(response, attempt, request.leaves_after)
            else:
                note(attempt, await response.json())
                attempt.whole = response.status == 200
    except (aiohttp.ClientError, TimeoutError, ValueError):
        pass  # it broke: what is known by then is noted
    return attempt


async def _read_stream(response: aiohttp.ClientResponse, attempt: Attempt, leaves_after: int | None) -> None:
    chunks = 0
    async for line in response.content:
        if not line.startswith(b"data: "):
            continue
        if line.startswith(b"data: [DONE]"):
            attempt.whole = True
            return
        note(attempt, json.loads(line[6:]))
        chunks += 1
        if leaves_after is not None and chunks >= leaves_after:
            return


def note(attempt: Attempt, message: dict[str, Any]) -> None:
    """What an answer or chunk says about itself and about money."""
    attempt.chat_id = message.get("id") or attempt.chat_id
    if "error" in message:
        attempt.refused = True
        attempt.code = message["error"].get("code")
    if "yout" in message:
        attempt.charged = message["yout"]["credits_charged"]

"""A base of doubles of vendors whose faults are chosen by what follows `--` in the model's name."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from aiohttp import web

from tests.support.doubles.seen_requests import Seen
from tests.support.doubles.threaded_app import ThreadedApp

Problem = TypeVar("Problem")
PASSING = ("crowded", "busy", "unavailable")
"""Faults of a first attempt alone."""


@dataclass(slots=True)
class ScriptedJob:
    behaviour: str
    script: list[str]
    """What its polls get, in order. The last one is repeated."""
    polls: int = 0

    @property
    def state(self) -> str:
        return self.script[min(self.polls, len(self.script) - 1)]


@dataclass(slots=True)
class ScriptedVendor(ThreadedApp):
    seen: list[Seen] = field(default_factory=list)
    _attempts: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def problem(self, behaviour: str, problems: Mapping[str, Problem]) -> Problem | None:
        """Count a submission. Return what it gets in place of an acceptance."""
        self._attempts[behaviour] += 1
        return None if behaviour in PASSING and self._attempts[behaviour] > 1 else problems.get(behaviour)


async def answer_as(request: web.Request, behaviour: str) -> None:
    """Close the connection of an accepted submission, or let it wait."""
    if behaviour == "cut":
        cut(request)
    if behaviour == "slow":
        await asyncio.sleep(1)


def cut(request: web.Request) -> NoReturn:
    assert request.transport is not None
    request.transport.abort()
    raise asyncio.CancelledError


async def endless(request: web.Request, piece: bytes, content_type: str) -> NoReturn:
    response = web.StreamResponse(headers={"content-type": content_type})
    await response.prepare(request)
    while True:
        await response.write(piece)

"""Every way in which an upstream can misbehave, for every kind of provider and every client wire, whole and streamed.

The client gets its wire's answer or its wire's error, without any text of the upstream. Nothing stays held, and what is
charged is charged once.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from api.app import WIRES
from dev.postgres import EmbeddedPostgres
from tests.support import kind_models
from tests.support.doubles.misbehaviours import MISBEHAVIOURS, Good, Outcome
from tests.support.doubles.raw_server import RawServer, Visit, serving
from tests.support.kind_models import KINDS
from tests.support.own_stack import own_stack
from tests.support.stack import Stack, eventually
from tests.support.wire_requests import REQUESTS, WireRequest

CREDITS = 50_000_000
NO_TEXT = {"/v1/embeddings"}
"""Wires with answers of another kind: their faults are tried where they are tested."""
SIGNALS: dict[str, bytes] = {
    **dict.fromkeys(("gemini", "openai_responses"), b'"store":false'),
    "openrouter": b'"data_collection":"deny"',
}
"""What protects a prompt in each request to a vendor that has a signal for it."""
SEEN: list[tuple[str, bytes]] = []
"""Each kind's requests, as they arrived."""
COSTS: set[int] = set()
"""What the same answers cost, in whatever form they came."""
AT_ONCE = 24
"""Calls that a busy machine answers before they are too late."""
QUICK = {
    "YOUT_UPSTREAM_FIRST_BYTE_TIMEOUT": "6",
    "YOUT_UPSTREAM_IDLE_TIMEOUT": "6",
    "YOUT_UPSTREAM_TOTAL_TIMEOUT": "15",
}
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def misbehave(visit: Visit) -> None:
    raw = await visit.request()
    path = raw.split(b" ", 2)[1].decode()
    _, kind, number, *_ = path.split("/")
    SEEN.append((kind, raw.replace(b" ", b"")))
    stream = b'"stream":true' in raw.replace(b" ", b"") or "streamGenerateContent" in path
    good = Good(kind_models.good(kind, stream=stream), stream, kind)
    await list(MISBEHAVIOURS.values())[int(number)].script(visit, good)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[RawServer]:
    async with serving(misbehave) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    postgres: EmbeddedPostgres, upstream: RawServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    cases = range(len(MISBEHAVIOURS))
    catalog = kind_models.catalog(upstream.port, cases, context_window=100_000, max_output_tokens=4000)
    started = own_stack(postgres, tmp_path_factory, "misbehaviour", catalog, extra=QUICK)
    with started.running("api"):
        yield started


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.account(CREDITS)


@dataclass(frozen=True)
class Case:
    kind: str
    request: WireRequest
    stream: bool

    def __str__(self) -> str:
        return f"{self.kind} over {self.request.path}{', streamed' if self.stream else ''}"


CASES = [Case(kind, request, stream) for kind in KINDS for request in REQUESTS.values() for stream in request.modes]


async def test_every_wire_that_generates_text_is_tried() -> None:
    assert {wire.path for wire in WIRES} - NO_TEXT == set(REQUESTS)


@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_a_misbehaviour(name: str, stack: Stack, key: str) -> None:
    misbehaviour, number = MISBEHAVIOURS[name], list(MISBEHAVIOURS).index(name)
    headers = {"authorization": f"Bearer {key}"}
    limits = httpx2.Limits(max_connections=len(CASES) if misbehaviour.hangs else AT_ONCE)
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60, limits=limits) as client:

        async def call(case: Case) -> httpx2.Response:
            body = case.request.body(kind_models.name(case.kind, number), stream=case.stream)
            return await client.post(case.request.path, json=body)

        before = (await client.get("/api/chat/limit/")).json()["balance"]
        answers = await asyncio.gather(*(call(case) for case in CASES))
        problems = [
            f"{case}: {problem}"
            for case, answer in zip(CASES, answers, strict=True)
            for problem in case.request.problems(answer, misbehaviour, stream=case.stream)
        ]
        assert not problems, "\n".join(problems)
        charged = sum(case.request.charged(answer) for case, answer in zip(CASES, answers, strict=True))

        async def settled() -> dict[str, Any] | None:
            limit: dict[str, Any] = (await client.get("/api/chat/limit/")).json()
            return limit if limit["held"] == 0 else None

        limit = await eventually(settled)
    assert limit is not None
    assert before - limit["balance"] == charged
    assert (charged > 0) == (misbehaviour.outcome is not Outcome.ERROR) or misbehaviour.outcome is Outcome.ERROR_OR_CUT
    if misbehaviour.outcome is Outcome.ANSWER:
        COSTS.add(charged)
        assert len(COSTS) == 1
    assert "SECRET" not in stack.log("api")


async def test_no_request_lacks_what_protects_the_prompt() -> None:
    """Also after a provider has refused it: nothing is sent again without."""
    assert {kind for kind, _ in SEEN} == set(KINDS)
    assert [kind for kind, request in SEEN if SIGNALS.get(kind, b"") not in request] == []


async def test_the_books_are_right_in_the_end(stack: Stack) -> None:
    audit = await asyncio.to_thread(stack.yout, "audit")
    assert audit["findings"] == []

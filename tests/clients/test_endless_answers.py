"""Upstreams that never end, of every kind: the process does not grow, the call ends, and others are served."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from dev.postgres import EmbeddedPostgres
from tests.support import kind_models
from tests.support.doubles.endless_answers import ENDLESS
from tests.support.doubles.raw_server import RawServer, Visit, answer, serving
from tests.support.fork_server import Process
from tests.support.kind_models import KINDS
from tests.support.own_stack import own_stack
from tests.support.stack import Stack, eventually

CREDITS = 50_000_000
MAX_GROWTH = 50 * 1024 * 1024
CHUNKS = 100_000
QUICK = {"YOUT_UPSTREAM_IDLE_TIMEOUT": "20", "YOUT_UPSTREAM_TOTAL_TIMEOUT": "120"}
MESSAGES = [{"role": "user", "content": "Hello!"}]
unbounded: list[str] = []
"""Answers that were read to their last byte."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def endless(visit: Visit) -> None:
    raw = await visit.request()
    _, kind, number, *_ = raw.split(b" ", 2)[1].decode().split("/")
    stream = b'"stream":true' in raw or b"streamGenerateContent" in raw
    if number == "tiny":
        await visit.write(answer(b"", "Content-Type: text/event-stream", "Connection: close", length=False))
        for _ in range(CHUNKS // 100):
            await visit.write(b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n' * 100)
        await visit.write(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    elif number == "good":
        content_type = "text/event-stream" if stream else "application/json"
        await visit.write(answer(kind_models.good(kind, stream=stream), f"Content-Type: {content_type}"))
    else:
        name, script = list(ENDLESS.items())[int(number)]
        if await script(visit, stream):
            unbounded.append(f"{name} of {kind}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[RawServer]:
    async with serving(endless) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    postgres: EmbeddedPostgres, upstream: RawServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stack, Process]]:
    cases = (*range(len(ENDLESS)), "tiny", "good")
    catalog = kind_models.catalog(upstream.port, cases, context_window=1_000_000, max_output_tokens=200_000)
    stack = own_stack(postgres, tmp_path_factory, "endless", catalog, extra=QUICK)
    with stack.running("api") as process:
        yield stack, process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(running: tuple[Stack, Process]) -> AsyncIterator[httpx2.AsyncClient]:
    stack, _ = running
    headers = {"authorization": f"Bearer {await asyncio.to_thread(stack.account, CREDITS)}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as client:
        for kind in KINDS:  # what a process needs in any case
            for stream in (False, True):
                assert (await post(client, kind, "good", stream=stream)).status_code == 200
        yield client


async def post(http: httpx2.AsyncClient, kind: str, number: int | str, *, stream: bool) -> httpx2.Response:
    body = {"model": kind_models.name(kind, number), "messages": MESSAGES, "max_tokens": 100}
    return await http.post("/v1/chat/completions", json=body | ({"stream": True} if stream else {}))


def memory(process: Process, peak: bool) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:" if peak else "VmRSS:"))


def forget_peak(process: Process) -> int:
    """Let the peak begin anew, and return what it begins with."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return memory(process, peak=False)


@pytest.mark.parametrize("name", ENDLESS)
async def test_an_answer_that_does_not_end_is_cut(
    running: tuple[Stack, Process], http: httpx2.AsyncClient, name: str
) -> None:
    _, process = running
    unbounded.clear()
    before = (await http.get("/api/chat/limit/")).json()["balance"]
    begin = await asyncio.to_thread(forget_peak, process)
    for kind in KINDS:
        for stream in (False, True):
            answers = await asyncio.gather(
                post(http, kind, list(ENDLESS).index(name), stream=stream), post(http, kind, "good", stream=stream)
            )
            assert "error" in answers[0].text, (kind, stream, answers[0].text[:300])
            assert "xxxx" not in answers[0].text
            assert answers[1].status_code == 200, (kind, answers[1].text)
    assert memory(process, peak=True) - begin < MAX_GROWTH
    assert unbounded == []

    async def settled() -> bool:
        return bool((await http.get("/api/chat/limit/")).json()["held"] == 0)

    assert await eventually(settled)
    charges = before - (await http.get("/api/chat/limit/")).json()["balance"]
    assert 0 < charges <= 2 * len(KINDS) * 50, "others' good answers alone are charged"


@pytest.mark.parametrize("kind", ["openai", "azure"])
async def test_a_slow_client_of_many_chunks_holds_its_upstream_back(
    running: tuple[Stack, Process], http: httpx2.AsyncClient, kind: str
) -> None:
    _, process = running
    begin = await asyncio.to_thread(forget_peak, process)
    body = {"model": f"test-{kind}-tiny", "messages": MESSAGES, "max_tokens": CHUNKS + 1000, "stream": True}
    async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        await asyncio.sleep(2)
        text = b"".join([part async for part in answer.aiter_raw()])
    assert text.rstrip().endswith(b"data: [DONE]")
    assert text.count(b"word ") == CHUNKS
    assert memory(process, peak=True) - begin < MAX_GROWTH

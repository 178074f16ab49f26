"""Large contents in a real API process: their bytes are bounded until their calls end, and they end in many ways."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dev.postgres import EmbeddedPostgres
from tests.support.doubles.entries import text_model
from tests.support.doubles.misbehaving_server import MisbehavingServer
from tests.support.media_stack import Customer, World, until
from tests.support.stack import Stack

CHAT = "/v1/chat/completions"
MODELS = ("hang", "plain", "broken", "words-then-cut")
SIZES = {f"YOUT_MAX_{name}_MIB": "1" for name in ("IMAGE", "AUDIO", "VIDEO")}
BODIES = {"YOUT_MAX_BODY_BYTES": str(2**20), "YOUT_MAX_BODIES_MIB": "4"}
BOUNDS = SIZES | BODIES | {"YOUT_ABANDONED_STREAM_TIMEOUT": "1", "YOUT_EMAIL_VERIFICATION": "false"}
PICTURE = "data:image/png;base64," + "iVBORw0KGgoAAAAN" * (950 * 64)
"""Of this size, two fit in an account's part."""


@pytest.fixture
def upstream() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        yield server


@pytest.fixture
async def world(
    postgres: EmbeddedPostgres, database_url: str, tmp_path: Path, upstream: MisbehavingServer
) -> AsyncIterator[World]:
    catalog = tmp_path / "catalog.toml"
    provider = f'[providers.foreign]\nkind = "openai"\nbase_url = "{upstream.url}"\n'
    more = 'input_modalities = ["text", "image"]'
    catalog.write_text(provider + "".join(text_model(name, f"foreign/{name}", more=more) for name in MODELS))
    database = database_url.rpartition("/")[2]
    stack = Stack.on(postgres, tmp_path / "state", database=database, catalog=catalog, extra=BOUNDS)
    async with World.of(stack) as world:
        with stack.running("api"):
            yield world


def body(model: str, *, url: str = PICTURE, **more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 5, **more}


async def used(customer: Customer) -> int:
    lines = (await customer.http.get("/metrics")).text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("yout_large_body_bytes "))


async def all_is_free(customer: Customer) -> None:
    async def free() -> bool:
        return await used(customer) == 0

    await until(free, "all bytes to be given back")


async def running(upstream: MisbehavingServer, number: int) -> None:
    async def arrived() -> bool:
        return upstream.running == number

    await until(arrived, f"{number} calls at the provider")


async def left(calls: list["asyncio.Task[httpx2.Response]"]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_many_large_calls_of_several_accounts_are_bounded(world: World, upstream: MisbehavingServer) -> None:
    ann, bob, cy = [await world.customer() for _ in range(3)]
    streams = [
        asyncio.create_task(one.http.post(CHAT, json=body("hang", stream=True))) for one in (ann, bob) for _ in range(2)
    ]
    await running(upstream, 4)
    more = await asyncio.gather(*(one.http.post(CHAT, json=body("hang")) for one in (ann, ann, bob, cy, cy)))
    assert [answer.status_code for answer in more] == [429, 429, 429, 503, 503]
    codes = [answer.json()["error"]["code"] for answer in more]
    assert codes == ["rate_limit_exceeded"] * 3 + ["service_unavailable"] * 2
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in more)
    assert 3 * 2**20 < await used(cy) <= 4 * 2**20
    small = await cy.http.post(CHAT, json=body("plain", url="data:image/png;base64,iVBORw0KGgo="))
    assert small.status_code == 200, small.text
    assert upstream.running == 4
    await left(streams[:1])

    async def let_in() -> bool:
        return (await cy.http.post(CHAT, json=body("plain"))).status_code == 200

    await until(let_in, "another one to end, and to leave its bytes")
    await left(streams)
    await all_is_free(cy)
    await world.books_are_clean()


async def sent_for_minutes(customer: Customer) -> str:
    """Send a large body slowly. Returns the first line of its answer."""
    url = customer.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    key, length = f"Authorization: Bearer {customer.token}", f"Content-Length: {2**20}"
    writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{key}\r\n{length}\r\n\r\n".encode() + b" " * 70_000)
    answer = asyncio.ensure_future(reader.readline())
    try:
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait([answer], timeout=0.5)
        return answer.result().decode()
    finally:
        answer.cancel()
        writer.close()


async def test_bodies_that_are_sent_for_minutes_keep_nobody_else_waiting(world: World) -> None:
    ann, bob, cy = await world.customer(credits=0), await world.customer(credits=0), await world.customer()

    async def claimed() -> bool:
        return await used(cy) == 4 * 2**20

    slow = [asyncio.create_task(sent_for_minutes(one)) for one in (ann, bob) for _ in range(2)]
    await until(claimed, "all bytes to be claimed")
    answer = await cy.http.post(CHAT, json=body("plain"))
    assert answer.status_code == 200, answer.text
    assert (await next(asyncio.as_completed(slow))).startswith("HTTP/1.1 503 ")
    assert sum(one.done() for one in slow) == 1
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await all_is_free(cy)
    await world.books_are_clean()


async def test_a_form_of_a_page_counts_while_it_arrives_and_no_longer_than_until_its_answer(world: World) -> None:
    ann, form = await world.customer(), "multipart/form-data; boundary=b"

    async def begins() -> AsyncIterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n' + bytes(100_000)
        await asyncio.Event().wait()

    async def claimed() -> bool:
        return await used(ann) == 2**20

    async with httpx2.AsyncClient(base_url=world.stack.url, headers={"sec-fetch-site": "same-origin"}) as browser:
        person = {"email": "ann@example.com", "password": "a long enough one 4 us"}
        assert (await browser.post("/api/auth/signup/", json=person)).status_code == 201
        headers = {"content-type": form, "content-length": str(2**20)}
        sending = asyncio.create_task(browser.post("/studio/image", content=begins(), headers=headers))
        await until(claimed, "the form to be claimed")
        await left([sending])
        await all_is_free(ann)
        whole = await browser.post("/studio/image", data={"model": "none"}, files={"image": bytes(100_000)})
        assert whole.status_code == 404
        await all_is_free(ann)


async def test_however_a_call_ends_its_bytes_are_given_back(world: World, upstream: MisbehavingServer) -> None:
    ann, poor = await world.customer(), await world.customer(credits=1)
    for model in ("plain", "broken", "words-then-cut", "nobody's"):
        for stream in (False, True):
            await ann.http.post(CHAT, json=body(model, stream=stream))
            await all_is_free(ann)
    headers = {"idempotency-key": "k"}
    twice = [await ann.http.post(CHAT, json=body("plain"), headers=headers) for _ in range(2)]
    assert twice[1].headers["idempotent-replayed"] == "true"
    assert (await poor.http.post(CHAT, json=body("plain"))).status_code == 402
    assert (await ann.http.post(CHAT, content=b"{" * 100_000)).status_code == 400
    await ann.http.post("/api/billing/quote/", json=body("plain"))
    await ann.http.post("/api/media/uploads/", content=b"\x89PNG" * 50_000)
    assert (await ann.http.post("/v1/images/edits", files={"image": b"\x89PNG" * 50_000})).status_code == 400
    await all_is_free(ann)

    async def drips() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield json.dumps(body("plain")).encode()[:5000]
        await asyncio.Event().wait()

    async def claimed() -> bool:
        return await used(ann) == 2**20

    leaving = [asyncio.create_task(ann.http.post(CHAT, content=drips()))]
    await until(claimed, "a body without a length")
    await left(leaving)
    await all_is_free(ann)
    leaving = [asyncio.create_task(ann.http.post(CHAT, json=body("hang", stream=True)))]
    await running(upstream, 1)
    await left(leaving)
    await all_is_free(ann)
    await world.books_are_clean()


async def test_what_a_small_request_continues_counts_until_its_end(world: World, upstream: MisbehavingServer) -> None:
    ann, bob = await world.customer(), await world.customer()
    messages = body("plain")["messages"]
    conversation = (await ann.http.post("/api/chat/conversations/", json={"messages": messages})).json()["id"]
    size = len(json.dumps(messages, separators=(",", ":")))
    await all_is_free(ann)

    def next_one(model: str = "hang") -> dict[str, Any]:
        return {"model": model, "conversation_id": conversation, "message": "Go on.", "save": False, "max_tokens": 5}

    streams = [asyncio.create_task(ann.http.post("/api/chat/stream/", json=next_one())) for _ in range(2)]
    await running(upstream, 2)
    assert 2 * size - 1000 < await used(bob) < 2 * size + 1000
    more = [
        ("/api/chat/stream/", next_one()),
        ("/api/billing/quote/", next_one()),
        ("/api/chat/share/", {"conversation_id": conversation}),
    ]
    answers = await asyncio.gather(*(ann.http.post(path, json=each) for path, each in more))
    assert [answer.status_code for answer in answers] == [429] * 3, [answer.text for answer in answers]
    assert (await bob.http.post(CHAT, json=body("plain"))).status_code == 200
    assert upstream.running == 2
    await left(streams)
    await all_is_free(ann)
    whole = await ann.http.post("/api/chat/stream/", json=next_one("plain") | {"save": True})
    assert '"type":"done"' in whole.text, whole.text
    assert (await ann.http.post("/api/billing/quote/", json=next_one("plain"))).status_code == 200
    part = {"conversation_id": conversation, "positions": [3]}
    assert (await ann.http.post("/api/chat/share/", json=part)).status_code == 201
    await all_is_free(ann)
    await world.books_are_clean()

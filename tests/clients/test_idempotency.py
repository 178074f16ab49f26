"""`Idempotency-Key` over real HTTP: one upstream call, one charge, the same answer."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support import balances
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack

BODY: dict[str, Any] = {"model": "test-plain", "messages": [{"role": "user", "content": "What is 2+2? SENTINEL-7"}]}
CHAT = "/v1/chat/completions"
COST = 600


@pytest.fixture
async def client(stack: Stack, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as opened:
        yield opened


def named(key: str | None = None) -> dict[str, str]:
    return {"idempotency-key": key or uuid.uuid4().hex}


async def test_the_same_request_again_is_the_same_answer_and_no_second_charge(
    client: httpx2.AsyncClient, upstream: OpenAIServer
) -> None:
    headers, before = named(), len(upstream.seen)
    first = await client.post(CHAT, json=BODY, headers=headers)
    again = await client.post(CHAT, json=dict(reversed(BODY.items())), headers=headers)
    quoted = await client.post(CHAT, json=BODY, headers=named(f'"{headers["idempotency-key"]}"'))
    assert first.json() == again.json() == quoted.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-yout-credits-charged"] == str(COST)
    assert len(upstream.seen) == before + 1
    assert await balances.by_http(client) == (1_000_000 - COST, 0)


@pytest.mark.parametrize("usage", [False, True])
async def test_a_stream_is_replayed_as_a_stream(
    client: httpx2.AsyncClient, upstream: OpenAIServer, usage: bool
) -> None:
    headers, before = named(), len(upstream.seen)
    body = BODY | {"stream": True, "stream_options": {"include_usage": usage}}
    first = (await client.post(CHAT, json=body, headers=headers)).text
    replayed = await client.post(CHAT, json=body, headers=headers)
    assert replayed.headers["content-type"].startswith("text/event-stream")
    assert replayed.headers["idempotent-replayed"] == "true"
    assert replayed.text.endswith("data: [DONE]\n\n")
    assert ANSWER in replayed.text
    assert f'"credits_charged":{COST}' in replayed.text
    chat_id = first.split('"id":"')[1].split('"')[0]
    assert f'"id":"{chat_id}"' in replayed.text
    assert len(upstream.seen) == before + 1
    assert await balances.by_http(client) == (1_000_000 - COST, 0)


async def test_a_call_that_was_not_charged_is_not_remembered(
    client: httpx2.AsyncClient, upstream: OpenAIServer
) -> None:
    headers, before = named(), len(upstream.seen)
    failing = BODY | {"model": "test-broken"}
    assert (await client.post(CHAT, json=failing, headers=headers)).status_code == 502
    assert (await client.post(CHAT, json=failing, headers=headers)).status_code == 502
    assert (await client.post(CHAT, json=BODY, headers=headers)).status_code == 200
    assert len(upstream.seen) == before + 5  # a failing call is tried twice
    assert await balances.by_http(client) == (1_000_000 - COST, 0)


async def test_what_is_kept_is_sealed(stack: Stack, client: httpx2.AsyncClient) -> None:
    headers = named("a-key-that-is-not-stored")
    await client.post(CHAT, json=BODY, headers=headers)
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        cursor = await connection.execute("SELECT scope, fingerprint, sealed FROM idempotency WHERE sealed IS NOT NULL")
        rows = await cursor.fetchall()
    assert rows
    for row in rows:
        for column in row:
            assert b"SENTINEL-7" not in bytes(column)
            assert ANSWER.encode() not in bytes(column)
            assert b"a-key-that-is-not-stored" not in bytes(column)


async def test_a_media_job_is_made_once(client: httpx2.AsyncClient) -> None:
    headers, body = named(), {"model": "demo-image", "prompt": "a lake"}
    answers = await asyncio.gather(*(client.post("/api/media/image/", json=body, headers=headers) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_uuid"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19
    left, held = await balances.by_http(client)
    assert left + held == 1_000_000
    assert held == answers[0].json()["credits_cost"]
    refused = await client.post("/api/media/image/", json=body | {"prompt": "a sea"}, headers=headers)
    assert refused.status_code == 422


async def test_a_stock_sdks_retry_is_recognised_when_the_account_asks_for_it(
    stack: Stack, client: httpx2.AsyncClient, upstream: OpenAIServer
) -> None:
    before = len(upstream.seen)
    for count in ("0", "1"):
        await client.post(CHAT, json=BODY, headers={"x-stainless-retry-count": count})
    assert len(upstream.seen) == before + 2  # by default every attempt is a call
    account_id = await _opt_in(stack, client)
    assert account_id
    first = await client.post(CHAT, json=BODY, headers={"x-stainless-retry-count": "0"})
    retried = await client.post(CHAT, json=BODY, headers={"x-stainless-retry-count": "1"})
    assert retried.json() == first.json()
    assert retried.headers["idempotent-replayed"] == "true"
    anew = await client.post(CHAT, json=BODY, headers={"x-stainless-retry-count": "0"})
    assert anew.json()["id"] != first.json()["id"]
    assert len(upstream.seen) == before + 4


async def _opt_in(stack: Stack, client: httpx2.AsyncClient) -> str:
    """The account of the client's key, with retries recognised from now on."""
    job = (await client.post("/api/media/image/", json={"model": "demo-image", "prompt": "x"})).json()
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as connection:
        cursor = await connection.execute("SELECT account_id FROM media_jobs WHERE id = %s", [job["job_uuid"]])
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute("UPDATE accounts SET recognise_retries = true WHERE id = %s", [row[0]])
    return str(row[0])

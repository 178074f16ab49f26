"""A rotation of the master secret, process by process: one request is one charge, one job and one key meanwhile."""

import dataclasses
import json
import os
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from dev import ports
from tests.support.account_client import AccountClient
from tests.support.stack import SECRET, Stack

CHAT = {"model": "test-plain", "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 20}
IMAGE = {"model": "demo-image", "prompt": "a lighthouse"}
KEY = {"name": "ci", "scopes": ["chat"]}


@pytest.fixture(scope="module")
def restarted(stack: Stack) -> Iterator[str]:
    """An API with a new secret beside the one that still has the old."""
    secrets = {
        "YOUT_SECRET_KEY": os.urandom(32).hex(),
        "YOUT_PREVIOUS_SECRET_KEYS": json.dumps([SECRET]),
    }
    process = dataclasses.replace(stack, extra=stack.extra | secrets, port=ports.free())
    with process.running("api"):
        yield process.url


@pytest.fixture(params=["the new one second", "the new one first"])
def processes(request: pytest.FixtureRequest, stack: Stack, restarted: str) -> tuple[str, str]:
    urls = (stack.url, restarted)
    return urls if request.param == "the new one second" else urls[::-1]


async def twice(
    owner: AccountClient, processes: tuple[str, str], path: str, body: object
) -> tuple[httpx2.Response, httpx2.Response]:
    headers = {"idempotency-key": uuid.uuid4().hex}
    first, second = [await owner.http.post(url + path, json=body, headers=headers) for url in processes]
    assert first.status_code == second.status_code
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    return first, second


async def test_one_call_is_charged_once(owner: AccountClient, processes: tuple[str, str]) -> None:
    first, second = await twice(owner, processes, "/v1/chat/completions", CHAT)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["choices"] == second.json()["choices"]
    charges = (await owner.http.get("/api/billing/charges/")).json()["data"]
    assert len(charges) == 1


async def test_one_stream_is_charged_once(owner: AccountClient, processes: tuple[str, str]) -> None:
    await twice(owner, processes, "/v1/chat/completions", CHAT | {"stream": True})
    assert len((await owner.http.get("/api/billing/charges/")).json()["data"]) == 1


async def test_one_job_is_made(owner: AccountClient, processes: tuple[str, str]) -> None:
    first, second = await twice(owner, processes, "/api/media/image/", IMAGE)
    assert first.json()["job_uuid"] == second.json()["job_uuid"]
    assert len((await owner.http.get("/api/billing/charges/")).json()["data"]) == 1


async def test_one_key_is_made(owner: AccountClient, processes: tuple[str, str]) -> None:
    first, second = await twice(owner, processes, "/api/chat/keys/", KEY)
    assert first.json() == second.json()
    assert len((await owner.http.get("/api/chat/keys/")).json()["data"]) == 2


async def test_another_request_under_the_same_key_is_a_conflict(
    owner: AccountClient, processes: tuple[str, str]
) -> None:
    headers = {"idempotency-key": uuid.uuid4().hex}
    first = await owner.http.post(f"{processes[0]}/v1/chat/completions", json=CHAT, headers=headers)
    second = await owner.http.post(f"{processes[1]}/v1/chat/completions", json=CHAT | {"n": 2}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 422)

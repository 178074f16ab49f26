"""Limits of a key, set by its http within the operator's maximum: exact, over real HTTP, in two API processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import httpx2
import orjson
import pytest

from dev import ports
from tests.support.account_client import QUESTION, AccountClient
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack, eventually

MESSAGES = [{"role": "user", "content": "What is 2+2?"}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def second(stack: Stack) -> Iterator[Stack]:
    """Another API process over the same database."""
    other = Stack(stack.database_url, stack.state / "second", catalog=stack.catalog, port=ports.free())
    with other.running("api"):
        yield other


@pytest.fixture
async def http(stack: Stack, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as opened:
        yield opened


async def limited(http: httpx2.AsyncClient, **limits: int) -> dict[str, str]:
    response = await http.post("/api/chat/keys/", json={"name": "limited", "limits": limits})
    assert response.status_code == 201, response.text
    return {"authorization": f"Bearer {response.json()['key']}"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "test-plain", "messages": MESSAGES, "max_tokens": 100} | changes


async def test_requests_per_minute_are_exact_across_processes(
    stack: Stack, second: Stack, http: httpx2.AsyncClient, upstream: OpenAIServer
) -> None:
    headers = await limited(http, requests=10)
    before = len(upstream.seen)
    urls = [stack.url if n % 2 else second.url for n in range(30)]
    began = time.monotonic()
    answers = await asyncio.gather(*(http.post(url + CHAT, json=body(), headers=headers) for url in urls))
    took = time.monotonic() - began
    refused = [answer for answer in answers if answer.status_code == 429]
    accepted = [answer for answer in answers if answer.status_code == 200]
    assert len(accepted) + len(refused) == 30
    assert 10 <= len(accepted) <= 11 + took // 6  # six seconds buy one more
    assert len(upstream.seen) - before == len(accepted)
    for answer in refused:
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
        assert 0 < float(answer.headers["retry-after-ms"]) <= 60_000
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["x-ratelimit-limit-requests"] == "10"


async def test_what_is_left_is_on_every_answer(http: httpx2.AsyncClient) -> None:
    headers = await limited(http, requests=60, tokens=100_000)
    first = await http.post(CHAT, json=body(), headers=headers)
    streamed = await http.post(CHAT, json=body(stream=True), headers=headers)
    listed = await http.get("/v1/models", headers=headers)
    unknown = await http.post(CHAT, json=body(model="nobody"), headers=headers)
    for answer, remaining in ((first, 59), (streamed, 58), (listed, 58), (unknown, 57)):
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        assert remaining <= int(answer.headers["x-ratelimit-remaining-requests"]) <= 59
        assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
        assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    limits = (await http.get("/api/chat/limit/", headers=headers)).json()["limits"]
    assert limits["requests"]["limit"] == 60
    assert limits["tokens"]["limit"] == 100_000
    assert limits["concurrent"]["remaining"] == limits["concurrent"]["limit"]
    assert limits["credits_day"] == {"limit": None, "remaining": None, "reset_seconds": None}


async def test_what_a_receiver_is_sent_at_will_is_counted(http: httpx2.AsyncClient) -> None:
    """Else an account without credits makes this server send to somebody without end."""
    url = "/api/webhooks/"
    endpoint_id = (await http.post(url, json={"url": "https://receiver.example/"})).json()["id"]
    sent = (await http.post(f"{url}{endpoint_id}/test/")).json()["id"]
    for path in (f"{url}{endpoint_id}/test/", f"{url}deliveries/{sent}/redeliver/"):
        headers = await limited(http, requests=2)
        statuses = [(await http.post(path, headers=headers)).status_code for _ in range(3)]
        assert statuses == [202, 202, 429]
    assert (await http.delete(f"{url}{endpoint_id}/")).status_code == 204


async def refused_for(answer: httpx2.Response) -> float:
    """Seconds until it may be asked again."""
    assert answer.status_code == 429, answer.text
    milliseconds = int(answer.headers["retry-after-ms"])
    assert int(answer.headers["retry-after"]) == -(-milliseconds // 1000)
    return milliseconds / 1000


async def test_a_request_passes_when_its_wait_is_over(stack: Stack, second: Stack, http: httpx2.AsyncClient) -> None:
    """In whichever process it is asked again. That it would not a moment earlier is for the rule's own test."""
    headers = await limited(http, requests=60)
    urls = [stack.url, second.url] * 60
    answers = await asyncio.gather(*(http.post(url + CHAT, json=body(), headers=headers) for url in urls))
    waits = [await refused_for(answer) for answer in answers if answer.status_code != 200]
    assert waits
    assert max(waits) <= 1.0  # one request a second is given back
    await asyncio.sleep(max(waits))
    assert (await http.post(second.url + CHAT, json=body(), headers=headers)).status_code == 200


async def test_tokens_pass_when_their_wait_is_over(http: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    """1,200 tokens a second; a call that holds 40,000 of them goes on all the while."""
    headers = await limited(http, tokens=72_000)
    upstream.release.clear()
    hanging = asyncio.create_task(http.post(CHAT, json=body(model="test-hang", max_tokens=40_000), headers=headers))
    assert await eventually(lambda: taken(http, headers))
    large = body(max_tokens=33_500)
    first = await http.post(CHAT, json=large, headers=headers)
    if first.status_code != 200:  # a machine that is slow enough has already waited
        await asyncio.sleep(await refused_for(first))
        assert (await http.post(CHAT, json=large, headers=headers)).status_code == 200
    upstream.release.set()
    assert (await hanging).status_code == 200


async def taken(http: httpx2.AsyncClient, headers: dict[str, str]) -> bool:
    limits = (await http.get("/api/chat/limit/", headers=headers)).json()["limits"]
    return bool(limits["tokens"]["remaining"] < 40_000)


async def test_tokens_per_minute_are_held_and_given_back(http: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    headers = await limited(http, tokens=10_000)
    large = body(model="test-usage-missing", max_tokens=6000)
    for _ in range(3):  # each is bounded at over 6,000 tokens and uses twenty
        assert (await http.post(CHAT, json=large, headers=headers)).status_code == 200
    upstream.release.clear()
    running = asyncio.create_task(http.post(CHAT, json=large | {"model": "test-hang"}, headers=headers))
    assert await eventually(partial(_reached, upstream, "hang"))
    refused = await http.post(CHAT, json=large, headers=headers)
    assert refused.status_code == 429
    upstream.release.set()
    assert (await running).status_code == 200


async def _reached(upstream: OpenAIServer, model: str) -> bool:
    return bool(upstream.seen[-1].body["model"] == model)


async def test_a_call_that_no_wait_would_let_pass_is_told_so(http: httpx2.AsyncClient) -> None:
    headers = await limited(http, tokens=1000)
    refused = await http.post(CHAT, json=body(max_tokens=2000), headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "max_tokens")
    passed = await http.post(CHAT, json=body(), headers=headers)  # what it may say fits the key's limit
    assert passed.status_code == 200


async def test_budgets_say_when_they_begin_anew(http: httpx2.AsyncClient) -> None:
    headers = await limited(http, credits_day=1000, credits_month=5000)
    limits = (await http.get("/api/chat/limit/", headers=headers)).json()["limits"]
    assert 0 < limits["credits_day"]["reset_seconds"] <= 86_400
    assert limits["credits_day"]["reset_seconds"] <= limits["credits_month"]["reset_seconds"] <= 31 * 86_400


async def test_concurrent_calls(http: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    headers = await limited(http, concurrent=2)
    upstream.release.clear()
    running = [asyncio.create_task(http.post(CHAT, json=body(model="test-hang"), headers=headers)) for _ in range(2)]

    async def both_run() -> bool:
        limit = (await http.get("/api/chat/limit/", headers=headers)).json()["limits"]["concurrent"]
        return bool(limit["remaining"] == 0)

    assert await eventually(both_run)
    wait = await refused_for(await http.post(CHAT, json=body(), headers=headers))
    upstream.release.set()
    assert [answer.status_code for answer in await asyncio.gather(*running)] == [200, 200]
    await asyncio.sleep(wait)
    assert (await http.post(CHAT, json=body(), headers=headers)).status_code == 200


async def test_a_daily_budget_holds_under_concurrency(http: httpx2.AsyncClient) -> None:
    headers = await limited(http, credits_day=3000, credits_month=100_000)
    cheap = body(model="test-usage-missing")  # holds 200 credits and uses a few
    answers = await asyncio.gather(*(http.post(CHAT, json=cheap, headers=headers) for _ in range(40)))
    charged = sum(answer.json()["yout"]["credits_charged"] for answer in answers if answer.status_code == 200)
    limits = (await http.get("/api/chat/limit/", headers=headers)).json()["limits"]
    assert limits["credits_day"]["remaining"] == 3000 - charged
    assert limits["credits_month"]["remaining"] == 100_000 - charged
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {402}
    assert {answer.json()["error"]["limit_source"] for answer in refused} == {"key_budget"}


async def test_a_budget_that_is_spent_is_no_reason_to_wait(http: httpx2.AsyncClient) -> None:
    """A day's budget says not to try again; it passes once its http has raised it."""
    key = (await http.post("/api/chat/keys/", json={"name": "k", "limits": {"credits_day": 700}})).json()
    headers = {"authorization": f"Bearer {key['key']}"}
    assert (await http.post(CHAT, json=body(max_tokens=200), headers=headers)).status_code == 200  # 600 of them
    for _ in range(2):
        refused = await http.post(CHAT, json=body(max_tokens=200), headers=headers)
        assert (refused.status_code, refused.headers["x-should-retry"]) == (402, "false")
        assert "retry-after" not in refused.headers
    await http.patch(f"/api/chat/keys/{key['id']}/", json={"limits": {"credits_day": 1400}})
    assert (await http.post(CHAT, json=body(max_tokens=200), headers=headers)).status_code == 200


async def test_an_owner_changes_limits_and_scopes_at_once(http: httpx2.AsyncClient) -> None:
    key = (await http.post("/api/chat/keys/", json={"name": "k"})).json()
    headers = {"authorization": f"Bearer {key['key']}"}
    changed = await http.patch(f"/api/chat/keys/{key['id']}/", json={"name": "n", "limits": {"requests": 1}})
    assert changed.json()["name"] == "n"
    assert changed.json()["limits"]["requests"] == 1
    assert (await http.post(CHAT, json=body(), headers=headers)).status_code == 200
    assert (await http.post(CHAT, json=body(), headers=headers)).status_code == 429
    narrowed = await http.patch(
        f"/api/chat/keys/{key['id']}/", json={"scopes": ["models"], "limits": {"requests": None}}
    )
    assert narrowed.json()["scopes"] == ["models"]
    refused = await http.post(CHAT, json=body(), headers=headers)
    assert refused.json()["error"]["code"] == "insufficient_scope"
    assert (await http.patch(f"/api/chat/keys/{key['id']}/", json={"limits": {"requests": 0}})).status_code == 400
    other_id = "01a20956-a278-791e-990d-d69ad773ae21"
    assert (await http.patch(f"/api/chat/keys/{other_id}/", json={"name": "x"})).status_code == 404


async def test_a_change_of_one_limit_leaves_the_others(http: httpx2.AsyncClient) -> None:
    """Else whoever raises a rate would lift the budget that bounds the key's cost."""
    first = {"requests": 60, "credits_day": 700, "credits_month": 5000}
    key = (await http.post("/api/chat/keys/", json={"name": "k", "limits": first})).json()
    url, no_limit = f"/api/chat/keys/{key['id']}/", {"tokens": None, "concurrent": None}
    raised = await http.patch(url, json={"limits": {"requests": 600}})
    assert raised.json()["limits"] == first | no_limit | {"requests": 600}
    freed = await http.patch(url, json={"limits": {"credits_day": None}})
    assert freed.json()["limits"] == first | no_limit | {"requests": 600, "credits_day": None}
    unlimiting: list[dict[str, object]] = [{"limits": {}}, {"limits": None}, {"name": "renamed"}]
    for nothing in unlimiting:
        assert (await http.patch(url, json=nothing)).json()["limits"] == freed.json()["limits"]


async def test_keys_are_listed_masked_and_revoked_at_once(http: httpx2.AsyncClient, second: Stack) -> None:
    new_key = (await http.post("/api/chat/keys/", json={"name": "production"})).json()
    assert new_key.keys() >= {"id", "name", "key", "masked", "scopes", "created_at", "expires_at"}
    assert not {"keys", "purge"} & set(new_key["scopes"])
    listed = (await http.get("/api/chat/keys/")).json()
    assert new_key["key"] not in str(listed)
    assert new_key["masked"] in {key["masked"] for key in listed["data"]}
    headers = {"authorization": f"Bearer {new_key['key']}"}
    assert (await http.get("/api/chat/keys/", headers=headers)).status_code == 403
    wider = await http.post("/api/chat/keys/", json={"name": "x", "scopes": ["nonsense"]})
    assert wider.status_code == 400
    assert (await http.post(CHAT, json=body(), headers=headers)).status_code == 200
    for _ in range(2):
        assert (await http.post(f"/api/chat/keys/{new_key['id']}/revoke/")).status_code == 200
    for url in ("", second.url):
        refused = await http.post(url + CHAT, json=body(), headers=headers)
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert (await http.get(url + "/v1/models", headers=headers)).status_code == 401


async def test_a_replay_tells_what_is_left(owner: AccountClient) -> None:
    body, named = {"model": "test-plain", **QUESTION}, {"idempotency-key": "limits"}
    await owner.http.post("/v1/chat/completions", json=body, headers=named)
    answer = await owner.http.post("/v1/chat/completions", json=body, headers=named)
    assert answer.headers["idempotent-replayed"] == "true"
    assert "x-ratelimit-remaining-requests" in answer.headers


@pytest.mark.parametrize("model", ["test-endless", "test-hang"])
async def test_a_revoked_key_ends_its_streams_and_not_its_whole_answers(
    http: httpx2.AsyncClient, upstream: OpenAIServer, model: str
) -> None:
    key = (await http.post("/api/chat/keys/", json={"name": "brief"})).json()
    headers = {"authorization": f"Bearer {key['key']}"}
    upstream.release.clear()
    fields = body(model=model, stream=model == "test-endless", max_tokens=4000)
    running = asyncio.create_task(http.post(CHAT, json=fields, headers=headers))
    assert await eventually(partial(_reached, upstream, model.removeprefix("test-")))
    await http.post(f"/api/chat/keys/{key['id']}/revoke/")
    assert (await http.post(CHAT, json=body(), headers=headers)).status_code == 401
    if model == "test-hang":
        await asyncio.sleep(1.5)  # a renewal finds the key gone
        upstream.release.set()
        assert (await running).status_code == 200
        return
    last = orjson.loads((await running).text.strip().rpartition("data: ")[2])
    assert last["error"]["code"] == "invalid_api_key"
    assert "While this call ran, its key was revoked" in last["error"]["message"]
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["yout"]["credits_charged"] > 0

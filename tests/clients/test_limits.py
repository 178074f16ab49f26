"""Limits of a key, set by its owner within the operator's maximum: exact, over real HTTP, in two API processes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import httpx2
import orjson
import pytest

from tests.support.account_client import ASKED, AccountClient
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack, eventually, free_port

MESSAGES = [{"role": "user", "content": "What is 2+2?"}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def second(stack: Stack) -> Iterator[Stack]:
    """Another API process over the same database."""
    other = Stack(stack.database_url, stack.state / "second", catalog=stack.catalog, port=free_port())
    with other.running("api"):
        yield other


@pytest.fixture
async def owner(stack: Stack, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as opened:
        yield opened


async def limited(owner: httpx2.AsyncClient, **limits: int) -> dict[str, str]:
    made = await owner.post("/api/chat/keys/", json={"name": "limited", "limits": limits})
    assert made.status_code == 201, made.text
    return {"authorization": f"Bearer {made.json()['key']}"}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "test-plain", "messages": MESSAGES, "max_tokens": 100} | changes


async def test_requests_per_minute_are_exact_across_processes(
    stack: Stack, second: Stack, owner: httpx2.AsyncClient, upstream: OpenAIServer
) -> None:
    headers = await limited(owner, requests=10)
    before = len(upstream.seen)
    urls = [stack.url if n % 2 else second.url for n in range(30)]
    answers = await asyncio.gather(*(owner.post(url + CHAT, json=body(), headers=headers) for url in urls))
    refused = [answer for answer in answers if answer.status_code == 429]
    accepted = [answer for answer in answers if answer.status_code == 200]
    assert len(accepted) + len(refused) == 30
    assert 10 <= len(accepted) <= 11  # six seconds buy one more
    assert len(upstream.seen) - before == len(accepted)
    for answer in refused:
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
        assert 0 < float(answer.headers["retry-after-ms"]) <= 60_000
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["x-ratelimit-limit-requests"] == "10"


async def test_what_is_left_is_on_every_answer(owner: httpx2.AsyncClient) -> None:
    headers = await limited(owner, requests=60, tokens=100_000)
    first = await owner.post(CHAT, json=body(), headers=headers)
    streamed = await owner.post(CHAT, json=body(stream=True), headers=headers)
    listed = await owner.get("/v1/models", headers=headers)
    unknown = await owner.post(CHAT, json=body(model="nobody"), headers=headers)
    for answer, remaining in ((first, 59), (streamed, 58), (listed, 58), (unknown, 57)):
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        assert remaining <= int(answer.headers["x-ratelimit-remaining-requests"]) <= 59
        assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
        assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    told = (await owner.get("/api/chat/limit/", headers=headers)).json()["limits"]
    assert told["requests"]["limit"] == 60
    assert told["tokens"]["limit"] == 100_000
    assert told["concurrent"]["remaining"] == told["concurrent"]["limit"]
    assert told["credits_day"] == {"limit": None, "remaining": None, "reset_seconds": None}


async def refused_for(answer: httpx2.Response) -> float:
    """Seconds until it may be asked again."""
    assert answer.status_code == 429, answer.text
    milliseconds = int(answer.headers["retry-after-ms"])
    assert int(answer.headers["retry-after"]) == -(-milliseconds // 1000)
    return milliseconds / 1000


async def test_a_request_passes_when_its_wait_is_over(stack: Stack, second: Stack, owner: httpx2.AsyncClient) -> None:
    """In whichever process it is asked again. That it would not a moment earlier is for the rule's own test."""
    headers = await limited(owner, requests=60)
    urls = [stack.url, second.url] * 60
    answers = await asyncio.gather(*(owner.post(url + CHAT, json=body(), headers=headers) for url in urls))
    waits = [await refused_for(answer) for answer in answers if answer.status_code != 200]
    assert waits
    assert max(waits) <= 1.0  # one request a second is given back
    await asyncio.sleep(max(waits))
    assert (await owner.post(second.url + CHAT, json=body(), headers=headers)).status_code == 200


async def test_tokens_pass_when_their_wait_is_over(owner: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    """1,200 tokens a second; a call that holds 40,000 of them goes on all the while."""
    headers = await limited(owner, tokens=72_000)
    upstream.release.clear()
    hanging = asyncio.create_task(owner.post(CHAT, json=body(model="test-hang", max_tokens=40_000), headers=headers))
    await eventually(lambda: taken(owner, headers))
    large = body(max_tokens=33_500)
    first = await owner.post(CHAT, json=large, headers=headers)
    if first.status_code != 200:  # a machine that is slow enough has already waited
        await asyncio.sleep(await refused_for(first))
        assert (await owner.post(CHAT, json=large, headers=headers)).status_code == 200
    upstream.release.set()
    assert (await hanging).status_code == 200


async def taken(owner: httpx2.AsyncClient, headers: dict[str, str]) -> bool:
    told = (await owner.get("/api/chat/limit/", headers=headers)).json()["limits"]
    return bool(told["tokens"]["remaining"] < 40_000)


async def test_tokens_per_minute_are_held_and_given_back(owner: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    headers = await limited(owner, tokens=10_000)
    large = body(model="test-usage-missing", max_tokens=6000)
    for _ in range(3):  # each is bounded at over 6,000 tokens and uses twenty
        assert (await owner.post(CHAT, json=large, headers=headers)).status_code == 200
    upstream.release.clear()
    running = asyncio.create_task(owner.post(CHAT, json=large | {"model": "test-hang"}, headers=headers))
    await eventually(partial(_reached, upstream, "hang"))
    refused = await owner.post(CHAT, json=large, headers=headers)
    assert refused.status_code == 429
    upstream.release.set()
    assert (await running).status_code == 200


async def _reached(upstream: OpenAIServer, model: str) -> bool:
    return bool(upstream.seen[-1].body["model"] == model)


async def test_a_call_that_no_wait_would_let_pass_is_told_so(owner: httpx2.AsyncClient) -> None:
    headers = await limited(owner, tokens=1000)
    refused = await owner.post(CHAT, json=body(max_tokens=2000), headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "max_tokens")
    passed = await owner.post(CHAT, json=body(), headers=headers)  # what it may say fits the key's limit
    assert passed.status_code == 200


async def test_budgets_say_when_they_begin_anew(owner: httpx2.AsyncClient) -> None:
    headers = await limited(owner, credits_day=1000, credits_month=5000)
    told = (await owner.get("/api/chat/limit/", headers=headers)).json()["limits"]
    assert 0 < told["credits_day"]["reset_seconds"] <= 86_400
    assert told["credits_day"]["reset_seconds"] <= told["credits_month"]["reset_seconds"] <= 31 * 86_400


async def test_concurrent_calls(owner: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    headers = await limited(owner, concurrent=2)
    upstream.release.clear()
    running = [asyncio.create_task(owner.post(CHAT, json=body(model="test-hang"), headers=headers)) for _ in range(2)]
    told: dict[str, Any] = {}
    for _ in range(200):
        told = (await owner.get("/api/chat/limit/", headers=headers)).json()["limits"]["concurrent"]
        if told["remaining"] == 0:
            break
    assert told["remaining"] == 0
    wait = await refused_for(await owner.post(CHAT, json=body(), headers=headers))
    upstream.release.set()
    assert [answer.status_code for answer in await asyncio.gather(*running)] == [200, 200]
    await asyncio.sleep(wait)
    assert (await owner.post(CHAT, json=body(), headers=headers)).status_code == 200


async def test_a_daily_budget_holds_under_concurrency(owner: httpx2.AsyncClient) -> None:
    headers = await limited(owner, credits_day=3000, credits_month=100_000)
    cheap = body(model="test-usage-missing")  # holds 200 credits and uses a few
    answers = await asyncio.gather(*(owner.post(CHAT, json=cheap, headers=headers) for _ in range(40)))
    charged = sum(answer.json()["yout"]["credits_charged"] for answer in answers if answer.status_code == 200)
    told = (await owner.get("/api/chat/limit/", headers=headers)).json()["limits"]
    assert told["credits_day"]["remaining"] == 3000 - charged
    assert told["credits_month"]["remaining"] == 100_000 - charged
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {402}
    assert {answer.json()["error"]["limit_source"] for answer in refused} == {"key_budget"}


async def test_a_budget_that_is_spent_is_no_reason_to_wait(owner: httpx2.AsyncClient) -> None:
    """A day's budget says not to try again; it passes once its owner has raised it."""
    made = (await owner.post("/api/chat/keys/", json={"name": "k", "limits": {"credits_day": 700}})).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    assert (await owner.post(CHAT, json=body(max_tokens=200), headers=headers)).status_code == 200  # 600 of them
    for _ in range(2):
        refused = await owner.post(CHAT, json=body(max_tokens=200), headers=headers)
        assert (refused.status_code, refused.headers["x-should-retry"]) == (402, "false")
        assert "retry-after" not in refused.headers
    await owner.patch(f"/api/chat/keys/{made['id']}/", json={"limits": {"credits_day": 1400}})
    assert (await owner.post(CHAT, json=body(max_tokens=200), headers=headers)).status_code == 200


async def test_an_owner_changes_limits_and_scopes_at_once(owner: httpx2.AsyncClient) -> None:
    made = (await owner.post("/api/chat/keys/", json={"name": "k"})).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    changed = await owner.patch(f"/api/chat/keys/{made['id']}/", json={"name": "n", "limits": {"requests": 1}})
    assert changed.json()["name"] == "n"
    assert changed.json()["limits"]["requests"] == 1
    assert (await owner.post(CHAT, json=body(), headers=headers)).status_code == 200
    assert (await owner.post(CHAT, json=body(), headers=headers)).status_code == 429
    narrowed = await owner.patch(
        f"/api/chat/keys/{made['id']}/", json={"scopes": ["models"], "limits": {"requests": None}}
    )
    assert narrowed.json()["scopes"] == ["models"]
    refused = await owner.post(CHAT, json=body(), headers=headers)
    assert refused.json()["error"]["code"] == "insufficient_scope"
    assert (await owner.patch(f"/api/chat/keys/{made['id']}/", json={"limits": {"requests": 0}})).status_code == 400
    other_id = "01a20956-a278-791e-990d-d69ad773ae21"
    assert (await owner.patch(f"/api/chat/keys/{other_id}/", json={"name": "x"})).status_code == 404


async def test_a_change_of_one_limit_leaves_the_others(owner: httpx2.AsyncClient) -> None:
    """Else whoever raises a rate would lift the budget that bounds the key's cost."""
    first = {"requests": 60, "credits_day": 700, "credits_month": 5000}
    made = (await owner.post("/api/chat/keys/", json={"name": "k", "limits": first})).json()
    url, no_limit = f"/api/chat/keys/{made['id']}/", {"tokens": None, "concurrent": None}
    raised = await owner.patch(url, json={"limits": {"requests": 600}})
    assert raised.json()["limits"] == first | no_limit | {"requests": 600}
    freed = await owner.patch(url, json={"limits": {"credits_day": None}})
    assert freed.json()["limits"] == first | no_limit | {"requests": 600, "credits_day": None}
    unlimiting: list[dict[str, object]] = [{"limits": {}}, {"limits": None}, {"name": "renamed"}]
    for nothing in unlimiting:
        assert (await owner.patch(url, json=nothing)).json()["limits"] == freed.json()["limits"]


async def test_keys_are_listed_masked_and_revoked_at_once(owner: httpx2.AsyncClient, second: Stack) -> None:
    made = (await owner.post("/api/chat/keys/", json={"name": "production"})).json()
    assert set(made) == {"id", "name", "key", "masked", "scopes", "created_at", "expires_at"}
    assert not {"keys", "purge"} & set(made["scopes"])
    listed = (await owner.get("/api/chat/keys/")).json()
    assert made["key"] not in str(listed)
    assert made["masked"] in {key["masked"] for key in listed["data"]}
    headers = {"authorization": f"Bearer {made['key']}"}
    assert (await owner.get("/api/chat/keys/", headers=headers)).status_code == 403
    wider = await owner.post("/api/chat/keys/", json={"name": "x", "scopes": ["nonsense"]})
    assert wider.status_code == 400
    assert (await owner.post(CHAT, json=body(), headers=headers)).status_code == 200
    for _ in range(2):
        assert (await owner.post(f"/api/chat/keys/{made['id']}/revoke/")).status_code == 200
    for url in ("", second.url):
        refused = await owner.post(url + CHAT, json=body(), headers=headers)
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert (await owner.get(url + "/v1/models", headers=headers)).status_code == 401


async def test_a_replay_tells_what_is_left(payer: AccountClient) -> None:
    asked, named = {"model": "test-plain", **ASKED}, {"idempotency-key": "limits"}
    await payer.http.post("/v1/chat/completions", json=asked, headers=named)
    answer = await payer.http.post("/v1/chat/completions", json=asked, headers=named)
    assert answer.headers["idempotent-replayed"] == "true"
    assert "x-ratelimit-remaining-requests" in answer.headers


@pytest.mark.parametrize("model", ["test-endless", "test-hang"])
async def test_a_revoked_key_ends_its_streams_and_not_its_whole_answers(
    owner: httpx2.AsyncClient, upstream: OpenAIServer, model: str
) -> None:
    made = (await owner.post("/api/chat/keys/", json={"name": "brief"})).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    upstream.release.clear()
    asked = body(model=model, stream=model == "test-endless", max_tokens=4000)
    running = asyncio.create_task(owner.post(CHAT, json=asked, headers=headers))
    await eventually(partial(_reached, upstream, model.removeprefix("test-")))
    await owner.post(f"/api/chat/keys/{made['id']}/revoke/")
    assert (await owner.post(CHAT, json=body(), headers=headers)).status_code == 401
    if model == "test-hang":
        await asyncio.sleep(1.5)  # a renewal finds the key gone
        upstream.release.set()
        assert (await running).status_code == 200
        return
    last = orjson.loads((await running).text.strip().rpartition("data: ")[2])
    assert last["error"]["code"] == "invalid_api_key"
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["yout"]["credits_charged"] > 0

"""A key gets a new token and stays the same key; one that ends, or is bound to models, ends and is bound at once."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from domain import keys
from tests.support.account_client import QUESTION, AccountClient
from tests.support.stack import Stack, eventually

PATH = "/api/chat/keys/"
EXPIRES = "x-yout-key-expires"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def made(owner: AccountClient, **body: object) -> dict[str, Any]:
    answer = await owner.http.post(PATH, json={"name": "k", **body})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def rotated(owner: AccountClient, key_id: str, **body: object) -> dict[str, Any]:
    answer = await owner.http.post(f"{PATH}{key_id}/rotate/", json=body or None)
    assert answer.status_code == 200, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def models(owner: AccountClient, token: str) -> httpx2.Response:
    return await owner.http.get("/v1/models", headers=bearer(token))


async def chat(owner: AccountClient, token: str, model: str = "test-plain") -> httpx2.Response:
    body = {"model": model, **QUESTION}
    return await owner.http.post("/v1/chat/completions", json=body, headers=bearer(token))


async def test_both_tokens_work_until_the_old_one_ends(owner: AccountClient, stack: Stack) -> None:
    first = await made(owner, limits={"credits_day": 5000}, note="for CI")
    spent = (await chat(owner, first["key"])).json()["yout"]["credits_charged"]
    second = await rotated(owner, first["id"])
    unchanged = ("id", "name", "scopes", "limits", "note", "created_at", "expires_at")
    assert {name: second[name] for name in unchanged} == {name: first[name] for name in unchanged}
    assert keys.well_formed(second["key"])
    assert second["key"] != first["key"]
    ends = datetime.fromisoformat(second["previous_expires_at"])
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(hours=24)
    expiry = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    for call in (models, chat):
        old, new = await call(owner, first["key"]), await call(owner, second["key"])
        assert (old.status_code, old.headers[EXPIRES]) == (200, expiry)
        assert new.status_code == 200
        assert EXPIRES not in new.headers
        spent += 2 * new.json()["yout"]["credits_charged"] if call is chat else 0
    refused = await chat(owner, first["key"], "no-such-model")
    assert (refused.status_code, refused.headers[EXPIRES]) == (404, expiry)
    left = (await owner.http.get("/api/chat/limit/", headers=bearer(second["key"]))).json()["limits"]["credits_day"]
    assert left["remaining"] == 5000 - spent
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        end = "UPDATE api_key_secrets SET expires_at = now() WHERE digest = %s"
        await connection.execute(end, [keys.digest(first["key"])])
    assert [(await call(owner, first["key"])).status_code for call in (models, chat)] == [401, 401]
    assert (await owner.http.get(f"{PATH}{first['id']}/")).json()["previous_expires_at"] is None


async def test_two_tokens_live_at_most_and_none_of_before_with_a_grace_of_0(owner: AccountClient) -> None:
    first = await made(owner)
    second, third = await rotated(owner, first["id"], grace_seconds=3600), await rotated(owner, first["id"])
    tokens = [first["key"], second["key"], third["key"]]
    assert [(await models(owner, token)).status_code for token in tokens] == [401, 200, 200]
    tokens.append((await rotated(owner, first["id"], grace_seconds=0))["key"])
    assert [(await chat(owner, token)).status_code for token in tokens] == [401, 401, 401, 200]
    assert (await owner.http.get(f"{PATH}{first['id']}/")).json()["masked"] == keys.masked(tokens[-1])


async def test_a_process_whose_clock_is_behind_rotates_the_newest_token(owner: AccountClient, stack: Stack) -> None:
    first = await made(owner)
    second = await rotated(owner, first["id"])
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        ahead = "UPDATE api_key_secrets SET created_at = created_at + interval '1 minute' WHERE digest = %s"
        await connection.execute(ahead, [keys.digest(second["key"])])
    third = await rotated(owner, first["id"])
    fourth = await rotated(owner, first["id"])
    tokens = [one["key"] for one in (first, second, third, fourth)]
    assert [(await models(owner, token)).status_code for token in tokens] == [401, 401, 200, 200]
    assert (await owner.http.get(f"{PATH}{first['id']}/")).json()["masked"] == keys.masked(fourth["key"])


@pytest.mark.parametrize("body", [{"grace_seconds": -1}, {"grace_seconds": 604_801}, {"grace_seconds": "1"}, {"id": 1}])
async def test_a_rotation_names_its_grace_exactly(owner: AccountClient, body: dict[str, object]) -> None:
    key = await made(owner)
    answer = await owner.http.post(f"{PATH}{key['id']}/rotate/", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(body)))
    assert (await models(owner, key["key"])).headers.get(EXPIRES) is None


async def test_a_rotation_is_made_once(owner: AccountClient) -> None:
    key, once = await made(owner), {"idempotency-key": uuid.uuid4().hex}
    url = f"{PATH}{key['id']}/rotate/"
    answers = await asyncio.gather(*(owner.http.post(url, json={}, headers=once) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.json()["key"] for answer in answers if answer.status_code == 200}) == 1
    assert (await models(owner, key["key"])).status_code == 200
    await rotated(owner, key["id"], grace_seconds=0)
    assert (await owner.http.post(url, json={}, headers=once)).status_code == 422


async def test_a_key_rotates_itself_and_none_that_has_more(owner: AccountClient) -> None:
    weak = await made(owner, scopes=["keys", "chat"])
    strong = await made(owner, scopes=["keys", "chat", "media"])
    limited = await made(owner, scopes=["keys", "chat"], limits={"requests": 50})
    alike = await made(owner, scopes=["chat"], limits={"requests": 50})
    forbidden = [(weak, strong), (limited, weak), (limited, alike)]
    for asking, target in forbidden:
        answer = await owner.http.post(f"{PATH}{target['id']}/rotate/", headers=bearer(asking["key"]))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    for asking in (weak, limited):
        answer = await owner.http.post(f"{PATH}{asking['id']}/rotate/", headers=bearer(asking["key"]))
        assert answer.status_code == 200


async def test_the_token_before_a_rotation_gives_nothing_that_outlasts_it(owner: AccountClient) -> None:
    first = await made(owner, scopes=["keys", "models"])
    other, old = await made(owner, scopes=["models"]), bearer(first["key"])
    second = await rotated(owner, first["id"], grace_seconds=600)
    ends = datetime.fromisoformat(second["previous_expires_at"])
    child = await owner.http.post(PATH, json={"name": "child", "scopes": ["models"]}, headers=old)
    assert (child.status_code, datetime.fromisoformat(child.json()["expires_at"])) == (201, ends)
    later = {"name": "child", "scopes": ["models"], "expires_at": (ends + timedelta(seconds=1)).isoformat()}
    refused = [
        await owner.http.post(PATH, json=later, headers=old),
        await owner.http.post(f"{PATH}{first['id']}/rotate/", headers=old),
        await owner.http.post(f"{PATH}{other['id']}/rotate/", headers=old),
        await owner.http.patch(f"{PATH}{other['id']}/", json={"name": "mine"}, headers=old),
        await owner.http.patch(f"{PATH}{child.json()['id']}/", json={"expires_at": None}, headers=old),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope"), answer.text
    renamed = await owner.http.patch(f"{PATH}{child.json()['id']}/", json={"name": "its own"}, headers=old)
    assert renamed.status_code == 200
    again = await owner.http.post(f"{PATH}{first['id']}/rotate/", headers=bearer(second["key"]))
    assert again.status_code == 200


async def ends_in(owner: AccountClient, key_id: str, seconds: int) -> bool:
    """False if that had passed when the server read it."""
    soon = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    answer = await owner.http.patch(f"{PATH}{key_id}/", json={"expires_at": soon})
    assert answer.is_success or answer.json()["error"]["param"] == "expires_at", answer.text
    return bool(answer.is_success)


async def test_an_end_is_in_the_future_and_ends_running_streams_too(owner: AccountClient) -> None:
    for wrong in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00", "soon", 1, 4e9):
        answer = await owner.http.post(PATH, json={"name": "k", "expires_at": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expires_at"), wrong
    key = await made(owner, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert EXPIRES in (await models(owner, key["key"])).headers
    body = {"model": "test-endless", **QUESTION, "stream": True}
    async with owner.http.stream("POST", "/v1/chat/completions", json=body, headers=bearer(key["key"])) as stream:
        assert stream.status_code == 200
        seconds = 2
        while not await ends_in(owner, key["id"], seconds):
            seconds *= 2
        lines = [line async for line in stream.aiter_lines() if line]
    assert '"code":"invalid_api_key"' in lines[-1]
    charge = lines[0].partition('"id":"')[2].partition('"')[0]
    assert (await owner.closed(charge))["credits"]["charged"] > 0
    assert (await models(owner, key["key"])).status_code == 401
    later = {"expires_at": None}
    assert (await owner.http.patch(f"{PATH}{key['id']}/", json=later)).json()["expires_at"] is None
    assert (await models(owner, key["key"])).status_code == 200


async def test_a_key_calls_and_sees_its_models_alone(owner: AccountClient) -> None:
    for wrong in (["no-such-model"], [], ["test-plain", "Test-Plain"]):
        answer = await owner.http.post(PATH, json={"name": "k", "models": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "models")
    key = await made(owner, models=["test-plain", "test-chatty"], scopes=["chat", "models", "keys"])
    assert (await chat(owner, key["key"])).status_code == 200
    hidden = await chat(owner, key["key"], "test-second")
    assert (hidden.status_code, hidden.json()["error"]["code"]) == (404, "model_not_found")
    listed = (await models(owner, key["key"])).json()["data"]
    assert {model["id"] for model in listed} == {"test-plain", "test-chatty"}
    assert (await owner.http.get("/v1/models/test-second", headers=bearer(key["key"]))).status_code == 404
    rich = (await owner.http.get("/api/chat/models/", headers=bearer(key["key"]))).json()["data"]
    assert {model["id"] for model in rich if model["enabled"]} == {"test-plain", "test-chatty"}
    child = await owner.http.post(PATH, json={"name": "c", "scopes": ["chat"]}, headers=bearer(key["key"]))
    assert child.json()["models"] == ["test-chatty", "test-plain"]
    wider = {"name": "c", "scopes": ["chat"], "models": ["test-second"]}
    assert (await owner.http.post(PATH, json=wider, headers=bearer(key["key"]))).json()["error"]["param"] == "models"
    await owner.http.patch(f"{PATH}{key['id']}/", json={"models": ["test-second"]})
    assert (await chat(owner, key["key"], "test-second")).status_code == 200
    await owner.http.patch(f"{PATH}{key['id']}/", json={"models": None})
    assert (await chat(owner, key["key"])).status_code == 200


async def test_a_key_orders_jobs_of_its_own_models_alone(owner: AccountClient) -> None:
    only = {"scopes": ["media"], "models": ["demo-image", "demo-speech"]}
    key = await made(owner, **only)
    orders: dict[str, dict[str, object]] = {
        "video": {"model": "demo-video", "prompt": "x"},
        "image": {"model": "demo-image", "prompt": "x"},
        "speech": {"model": "demo-speech", "input": "x"},
    }

    async def ordered() -> list[int]:
        paths = [
            owner.http.post(f"/api/media/{kind}/", json=orders[kind], headers=bearer(key["key"])) for kind in orders
        ]
        answers = await asyncio.gather(*paths)
        codes = {answer.json()["error"]["code"] for answer in answers if answer.status_code != 202}
        assert codes == {"model_not_found"}
        return [answer.status_code for answer in answers]

    assert await ordered() == [404, 202, 202]
    held = (await owner.http.get("/api/chat/limit/")).json()["held"]
    await owner.http.patch(f"{PATH}{key['id']}/", json={"models": ["demo-chat"]})
    assert await ordered() == [404, 404, 404]
    assert (await owner.http.get("/api/chat/limit/")).json()["held"] == held > 0


async def test_a_key_is_shown_with_its_note_and_by_whom_it_was_used(owner: AccountClient, stack: Stack) -> None:
    key = await made(owner, note="first line\nsecond")
    shown = (await owner.http.get(f"{PATH}{key['id']}/")).json()
    assert (shown["note"], shown["last_used_at"], "key" in shown) == ("first line\nsecond", None, False)
    await models(owner, key["key"])
    assert (await owner.http.get(f"{PATH}{key['id']}/")).json()["last_used_at"] is not None
    assert (await owner.http.post(PATH, json={"name": "k", "note": "x" * 1001})).status_code == 400
    assert (await owner.http.patch(f"{PATH}{key['id']}/", json={"note": None})).json()["note"] is None
    await owner.http.post(f"{PATH}{key['id']}/revoke/")
    assert (await owner.http.get(f"{PATH}{key['id']}/")).json()["revoked_at"] is not None


async def test_the_calls_of_a_key_count_on_the_key_that_made_it(owner: AccountClient, stack: Stack) -> None:
    parent = await made(
        owner, scopes=["keys", "chat", "models", "billing"], limits={"credits_day": 4000, "concurrent": 1}
    )
    child_body = {"name": "child", "scopes": ["chat", "models", "billing"]}
    children = [(await owner.http.post(PATH, json=child_body, headers=bearer(parent["key"]))).json() for _ in range(2)]
    tokens = [key["key"] for key in (parent, *children)]
    spent = 0
    for token in [*tokens, *tokens]:
        answer = await owner.http.post(
            "/v1/chat/completions", json={"model": "test-plain", **QUESTION, "max_tokens": 20}, headers=bearer(token)
        )
        assert answer.status_code == 200, answer.text
        spent += answer.json()["yout"]["credits_charged"]
    for token in tokens:
        limit = (await owner.http.get("/api/chat/limit/", headers=bearer(token))).json()["limits"]
        assert limit["credits_day"]["remaining"] == 4000 - spent
        refused = await owner.http.post(
            "/v1/chat/completions", json={"model": "test-plain", **QUESTION, "max_tokens": 2600}, headers=bearer(token)
        )
        assert (refused.status_code, refused.json()["error"]["limit_source"]) == (402, "key_budget")
    assert (await owner.http.post(f"{PATH}{parent['id']}/revoke/")).status_code == 200
    assert (await models(owner, tokens[1])).status_code == 200  # lives on, within the same limits
    body = {"model": "test-plain", **QUESTION, "max_tokens": 2600}
    assert (await owner.http.post("/v1/chat/completions", json=body, headers=bearer(tokens[1]))).status_code == 402


async def test_of_a_whole_family_one_call_runs_at_a_time(owner: AccountClient) -> None:
    parent = await made(owner, scopes=["keys", "chat"], limits={"concurrent": 1})
    tokens = [parent["key"]]
    for _ in range(3):
        body = {"name": "child", "scopes": ["keys", "chat"]}
        child = await owner.http.post(PATH, json=body, headers=bearer(tokens[-1]))
        tokens.append(child.json()["key"])
    call = {"model": "test-endless", **QUESTION, "stream": True}
    async with owner.http.stream("POST", "/v1/chat/completions", json=call, headers=bearer(tokens[-1])) as stream:
        assert stream.status_code == 200
        assert [(await chat(owner, token)).status_code for token in tokens] == [429] * 4

    async def free() -> bool:
        return (await chat(owner, tokens[0])).status_code == 200

    assert await eventually(free)


async def test_a_strict_key_makes_each_of_its_chats_strict(owner: AccountClient) -> None:
    token = (await made(owner, strict=True))["key"]
    body = {"model": "test-unsampled", **QUESTION, "temperature": 0.5}
    for extra in ({}, {"stream": True}):
        answer = await owner.http.post("/v1/chat/completions", json=body | extra, headers=bearer(token))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert (await owner.http.post("/v1/chat/completions", json=body)).status_code == 200
    assert (await chat(owner, token)).status_code == 200

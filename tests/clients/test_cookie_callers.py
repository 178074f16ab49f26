"""The session cookie at the endpoints that keys call: who is signed in is the account's owner, on `/api/*` alone."""

import json
import uuid

import httpx2

from domain import keys
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import QUESTION, AccountClient
from tests.support.doubles.openai_server import ANSWER
from tests.support.signed_in import SAME_ORIGIN, browser, cookie_of
from tests.support.stack import Stack

TALK = {"model": "test-plain", **QUESTION}


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def events(answer: httpx2.Response) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data:")) for line in answer.text.splitlines() if line.startswith("data:")]


async def test_the_owner_does_in_a_browser_what_a_key_may(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        limit = await page.get("/api/chat/limit/")
        assert (limit.status_code, limit.json()["balance"]) == (200, 1_000_000)
        talked = await page.post("/api/chat/stream/", json=TALK)
        done = events(talked)[-1]
        assert (talked.status_code, done["type"]) == (200, "done")
        usage = (await page.get("/api/billing/usage/")).json()
        assert json.dumps(usage).count(str(done["credits_charged"])) > 0
        created = await page.post("/api/chat/keys/", json={"name": "by hand", "scopes": ["keys"]})
        assert created.status_code == 201
        quoted = await page.post("/api/billing/quote/", json={"model": "test-plain", **QUESTION})
        assert quoted.status_code == 200
        revoked = await page.post(f"/api/chat/keys/{created.json()['id']}/revoke/")
        assert revoked.status_code == 200


async def test_a_call_by_cookie_is_made_once_and_its_answer_not_saved(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        once = {"idempotency-key": uuid.uuid4().hex}
        first = await page.post("/api/chat/stream/", json=TALK, headers=once)
        charge = events(first)[0]["id"]
        again = await page.post("/api/chat/stream/", json=TALK, headers=once)
        assert code(again) == (422, "idempotency_conflict")
        assert again.headers["x-should-retry"] == "false"
        assert str(charge) in again.json()["error"]["message"]
        spent = 1_000_000 - (await page.get("/api/chat/limit/")).json()["balance"]
        assert spent == events(first)[-1]["credits_charged"]
        other = await page.post("/api/chat/stream/", json=TALK | {"temperature": 0}, headers=once)
        assert code(other) == (422, "idempotency_conflict")


async def test_a_chat_by_cookie_is_saved_once_and_continued_by_key(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        once = {"idempotency-key": uuid.uuid4().hex}
        body = {"model": "test-plain", "message": "By cookie", "save": True}
        done = events(await page.post("/api/chat/stream/", json=body, headers=once))[-1]
        assert code(await page.post("/api/chat/stream/", json=body, headers=once)) == (422, "idempotency_conflict")
        id_ = done["conversation_id"]
        more = {"model": "test-plain", "message": "By key", "conversation_id": id_}
        assert (await owner.http.post("/api/chat/stream/", json=more)).status_code == 200
        (listed,) = (await page.get("/api/chat/conversations/")).json()["data"]
        assert (listed["id"], listed["title"], listed["message_count"]) == (id_, "By cookie", 4)
        read = (await page.get(f"/api/chat/conversations/{id_}/")).json()["messages"]
        assert [m["content"] for m in read] == ["By cookie", ANSWER, "By key", ANSWER]
        assert read[1]["credits_charged"] == done["credits_charged"]


async def test_another_page_changes_nothing(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        del page.headers["sec-fetch-site"]
        for path in ("/api/chat/stream/", "/api/chat/keys/", "/api/billing/quote/", "/api/media/image/"):
            for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
                assert code(await page.post(path, json=TALK, headers=headers)) == (403, "insufficient_scope"), path
        assert (await page.get("/api/chat/limit/", headers={"sec-fetch-site": "cross-site"})).status_code == 200
        assert (await page.post("/api/chat/stream/", json=TALK, headers={"origin": stack.url})).status_code == 200
        assert page.headers.get("authorization") is None
        keyed = await owner.http.post("/api/chat/stream/", json=TALK, headers={"origin": "https://evil.example"})
        assert (keyed.status_code, keyed.headers["access-control-allow-origin"]) == (200, "*")
        assert "access-control-allow-credentials" not in keyed.headers


async def test_a_key_counts_before_the_cookie(new_owner: OpenAccountClient, stack: Stack) -> None:
    ann, bob = await new_owner(500), await new_owner(700)
    async with await browser(bob.database, bob.customer.account_id, stack.url) as page:
        by_key = {"authorization": f"Bearer {ann.customer.token}"}
        assert (await page.get("/api/chat/limit/", headers=by_key)).json()["balance"] == 500
        assert (await page.get("/api/chat/limit/")).json()["balance"] == 700
        for wrong in ("yout-nonsense", keys.mint(b"n" * keys.ENTROPY_BYTES)):
            for header in ({"authorization": f"Bearer {wrong}"}, {"x-api-key": wrong}):
                assert code(await page.get("/api/chat/limit/", headers=header)) == (401, "invalid_api_key")
                assert (await page.post("/api/chat/stream/", json=TALK, headers=header)).status_code == 401


async def test_no_answer_is_stored_by_a_browser_or_a_proxy(owner: AccountClient, stack: Stack) -> None:
    """Neither knows that a cookie makes an answer private."""
    paths = ["/api/auth/me/", "/api/chat/conversations/", "/api/chat/conversations/export/", "/api/billing/charges/"]
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        answers = [await page.get(path) for path in paths]
        answers.append(await page.post("/api/chat/keys/", json={"name": "by hand"}))
        answers.append(await page.post("/api/chat/stream/", json=TALK))
        answers.append(await page.get("/api/nothing/"))
    bodies = (TALK, TALK | {"stream": True})
    answers += [await owner.http.post("/v1/chat/completions", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 201, 200, 404, 200, 200]
    for answer in answers:
        assert answer.headers.get_list("cache-control") == ["no-store"], answer.url
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url


async def test_the_cookie_is_for_our_own_pages_alone(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        assert code(await page.get("/v1/models")) == (401, "invalid_api_key")
        assert code(await page.post("/v1/chat/completions", json=TALK)) == (401, "invalid_api_key")
    secret = await cookie_of(owner.database, owner.customer.account_id)
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN) as stranger:
        for cookie in ("", "yout=", f"yout={secret[:-1]}", f"yout={secret}x", f"__Host-yout={secret}"):
            assert code(await stranger.get("/api/billing/usage/", headers={"cookie": cookie})) == (
                401,
                "invalid_api_key",
            )

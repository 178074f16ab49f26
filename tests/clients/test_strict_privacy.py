"""`privacy: "strict"` of calls and keys: only providers that keep nothing are asked, or nobody is."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from db.data_keys import Sealing
from db.media import MediaJobs
from domain.sealing import Wrapping
from tests.support.account_client import QUESTION, AccountClient
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import SECRET, Stack

STRICT = {"privacy": "strict"}
CHAT, NATIVE, KEYS = "/v1/chat/completions", "/api/chat/stream/", "/api/chat/keys/"
HEADER = {"x-yout-privacy": "strict"}
WISHES: list[dict[str, Any]] = [
    {"json": STRICT},
    {"headers": HEADER},
    {"json": {"privacy": "default"}, "headers": HEADER},
    {"json": {"provider": {"zdr": True}}},
    {"json": {"provider": {"data_collection": "deny"}}},
]


async def ask(client: AccountClient, path: str, model: str, **wish: Any) -> httpx2.Response:
    body = {"model": model, **QUESTION, **wish.pop("json", {})}
    return await client.http.post(path, json=body, **wish)


async def key_of(owner: AccountClient, token: str = "", **body: object) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await owner.http.post(KEYS, json={"name": "k", **body}, headers=headers)


def bearer(token: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {token}"}}


def check_refused(answer: httpx2.Response) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "privacy", "unsupported_parameter")


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("path", [CHAT, NATIVE, "/api/billing/quote/"])
async def test_without_such_a_route_nothing_is_sent_or_held(
    owner: AccountClient, upstream: OpenAIServer, path: str, wish: dict[str, Any]
) -> None:
    before = len(upstream.seen)
    check_refused(await ask(owner, path, "test-plain", **wish))
    assert len(upstream.seen) == before
    limit = (await owner.http.get("/api/chat/limit/")).json()
    assert (limit["balance"], limit["held"]) == (1_000_000, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_weaker_route_is_passed_over(owner: AccountClient, upstream: OpenAIServer, *, stream: bool) -> None:
    classes = []
    for wish in ({}, STRICT):
        answer = await ask(owner, CHAT, "test-private", json={"stream": stream, **wish})
        assert answer.status_code == 200
        classes.append((answer.headers["x-yout-privacy-class"], upstream.seen[-1].headers["Authorization"]))
        assert "privacy" not in upstream.seen[-1].body
    assert classes == [("unknown", "Bearer sk-foreign"), ("zero_retention", "Bearer sk-private")]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_stays_in_the_class(owner: AccountClient, upstream: OpenAIServer, *, stream: bool) -> None:
    answer = await ask(owner, CHAT, "test-private-away", json={"stream": stream})
    assert (answer.status_code, upstream.seen[-1].headers["Authorization"]) == (200, "Bearer sk-foreign")
    before = len(upstream.seen)
    answer = await ask(owner, CHAT, "test-private-away", json={"stream": stream, **STRICT})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert {seen.headers["Authorization"] for seen in upstream.seen[before:]} == {"Bearer sk-private"}


async def test_wrong_words_are_named(owner: AccountClient) -> None:
    for wish, code in (("never", "invalid_value"), (True, "invalid_type")):
        error = (await ask(owner, CHAT, "test-plain", json={"privacy": wish})).json()["error"]
        assert (error["param"], error["code"]) == ("privacy", code)
    assert (await ask(owner, CHAT, "test-plain", headers={"x-yout-privacy": "on"})).status_code == 400


async def test_a_strict_key_is_not_loosened_by_a_call(owner: AccountClient, upstream: OpenAIServer) -> None:
    key = (await key_of(owner, **STRICT)).json()
    assert key["privacy"] == "strict"
    for loosening in ({}, {"privacy": "default"}, {"provider": {"zdr": False, "data_collection": "allow"}}):
        before = len(upstream.seen)
        check_refused(await ask(owner, CHAT, "test-plain", json=loosening, **bearer(key["key"])))
        assert len(upstream.seen) == before
        answer = await ask(owner, CHAT, "test-private", json=loosening, **bearer(key["key"]))
        assert answer.headers["x-yout-privacy-class"] == "zero_retention"
    check_refused(await ask(owner, "/api/billing/quote/", "test-plain", **bearer(key["key"])))


async def test_a_change_of_a_key_holds_from_its_next_call_on(owner: AccountClient) -> None:
    key = (await key_of(owner)).json()
    assert key["privacy"] == "default"
    assert (await ask(owner, CHAT, "test-plain", **bearer(key["key"]))).status_code == 200
    changed = await owner.http.patch(f"{KEYS}{key['id']}/", json=STRICT)
    assert changed.json()["privacy"] == "strict"
    check_refused(await ask(owner, CHAT, "test-plain", **bearer(key["key"])))
    listed = (await owner.http.get(KEYS)).json()["data"]
    assert {each["privacy"] for each in listed if each["id"] == key["id"]} == {"strict"}


async def test_a_strict_key_gives_no_less_than_it_has(owner: AccountClient) -> None:
    strict = (await key_of(owner, **STRICT, scopes=["keys", "chat"])).json()
    child = (await key_of(owner, strict["key"])).json()
    assert child["privacy"] == "strict"
    refused = [
        await key_of(owner, strict["key"], privacy="default"),
        await owner.http.patch(f"{KEYS}{child['id']}/", json={"privacy": "default"}, **bearer(strict["key"])),
        await owner.http.patch(f"{KEYS}{strict['id']}/", json={"privacy": "default"}, **bearer(strict["key"])),
    ]
    assert [answer.status_code for answer in refused] == [403] * 3
    rotated = await owner.http.post(f"{KEYS}{strict['id']}/rotate/", json={}, **bearer(strict["key"]))
    assert rotated.json()["privacy"] == "strict"


@pytest.mark.parametrize("wish", [{"json": STRICT}, {"headers": HEADER}])
async def test_jobs_too(owner: AccountClient, wish: dict[str, Any]) -> None:
    body = {"model": "demo-image", "prompt": "A lake", **wish.get("json", {})}
    answer = await owner.http.post("/api/media/image/", json=body, headers=wish.get("headers", {}))
    assert answer.status_code == 202, answer.text
    body["model"] = "test-image-kept"
    for path in ("/api/media/image/", "/api/billing/quote/"):
        check_refused(await owner.http.post(path, json=body, headers=wish.get("headers", {})))


async def test_a_job_of_a_strict_key_keeps_the_class_that_it_was_accepted_with(owner: AccountClient) -> None:
    strict = (await key_of(owner, **STRICT, scopes=["media"])).json()["key"]
    jobs = MediaJobs(owner.database, Sealing(Wrapping.of(SECRET)), output_lifetime=timedelta(hours=1))
    for headers, privacy in ((bearer(strict), "zero_retention"), ({}, "unknown")):
        answer = await owner.http.post("/api/media/image/", json={"model": "demo-image", "prompt": "A lake"}, **headers)
        assert (await jobs.request(UUID(answer.json()["job_uuid"]))).privacy == privacy


async def test_models_tell_their_class(owner: AccountClient, stack: Stack) -> None:
    listed = {each["id"]: each for each in (await owner.http.get("/v1/models")).json()["data"]}
    classes = {
        name: (listed[name]["privacy"], listed[name]["zero_retention"]) for name in ("test-plain", "test-private")
    }
    assert classes == {"test-plain": ("unknown", False), "test-private": ("unknown", True)}
    rich = {each["id"]: each for each in (await owner.http.get("/api/chat/models/")).json()["data"]}
    assert (rich["demo-chat"]["privacy"], rich["demo-chat"]["zero_retention"]) == ("zero_retention", True)

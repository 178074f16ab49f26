"""Chats that a request or a setting saves: what is saved, what is continued, and what is charged."""

import asyncio
import uuid
from typing import Any

import pytest

from tests.clients.conftest import OpenAccountClient
from tests.clients.test_native_stream import PATH, balance, events, text
from tests.support.account_client import AccountClient
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import eventually

CONVERSATIONS = "/api/chat/conversations/"


async def saying(client: AccountClient, message: str, *, key: str = "", **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "test-plain", "message": message, **fields}
    answer = await client.http.post(PATH, json=body, headers={"idempotency-key": key} if key else {})
    assert answer.status_code == 200, answer.text
    return events(answer.text)


async def messages(client: AccountClient, conversation: str) -> list[dict[str, Any]]:
    answer = await client.http.get(f"{CONVERSATIONS}{conversation}/", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["messages"]
    return listed


async def saved_conversations(client: AccountClient) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await client.http.get(CONVERSATIONS, params={"limit": 100})).json()["data"]
    return listed


async def test_nothing_is_saved_without_save(owner: AccountClient) -> None:
    *_, done = await saying(owner, "Hello")
    assert "conversation_id" not in done
    await saying(owner, "Hello", save=False)
    await owner.http.post(
        "/v1/chat/completions",
        json={"model": "test-plain", "store": True, "messages": [{"role": "user", "content": "Hello"}]},
    )
    assert await saved_conversations(owner) == []


async def test_a_chat_is_saved_and_continued_by_its_id(owner: AccountClient, upstream: OpenAIServer) -> None:
    start, *_, done = await saying(owner, "Where is Ulm?", save=True)
    id_ = done["conversation_id"]
    assert start["conversation_id"] == id_
    question, answer = await messages(owner, id_)
    assert (question["role"], question["content"]) == ("user", "Where is Ulm?")
    assert (answer["role"], answer["content"], answer["partial"]) == ("assistant", ANSWER, False)
    assert (answer["finish_reason"], answer["model"], answer["charge"]) == ("stop", "test-plain", start["id"])
    assert (answer["credits_charged"], answer["usage"]) == (done["credits_charged"], done["usage"])
    *_, again = await saying(owner, "And Bonn?", conversation_id=id_)
    assert again["conversation_id"] == id_
    assert [m["content"] for m in upstream.seen[-1].body["messages"]] == ["Where is Ulm?", ANSWER, "And Bonn?"]
    assert again["usage"]["prompt_tokens"] >= done["usage"]["prompt_tokens"]
    *_, unsaved = await saying(owner, "And Kiel?", conversation_id=id_, save=False)
    assert "conversation_id" not in unsaved
    assert [m["position"] for m in await messages(owner, id_)] == [1, 2, 3, 4]
    (listed,) = await saved_conversations(owner)
    assert (listed["title"], listed["message_count"]) == ("Where is Ulm?", 4)


async def test_one_system_message_is_in_force_and_an_empty_one_ends_it(
    owner: AccountClient, upstream: OpenAIServer
) -> None:
    id_ = ""
    for system, in_force in (("Brief.", ["Brief."]), (None, ["Brief."]), ("Loud.", ["Loud."]), ("", []), (None, [])):
        instructions = [] if system is None else [{"role": "system", "content": system}]
        body = {"model": "test-plain", "messages": [*instructions, {"role": "user", "content": "x"}]}
        answer = await owner.http.post(PATH, json=body | ({"conversation_id": id_} if id_ else {"save": True}))
        id_ = events(answer.text)[-1]["conversation_id"]
        seen = upstream.seen[-1].body["messages"]
        assert [m["content"] for m in seen if m["role"] == "system"] == in_force
        assert [m["role"] for m in seen[: len(in_force)]] == ["system"] * len(in_force)
    assert [m["content"] for m in await messages(owner, id_) if m["role"] == "system"] == ["Brief.", "Loud.", ""]
    emptied = await owner.http.post(CONVERSATIONS, json={"messages": [{"role": "system", "content": "Brief."}]})
    body = {"model": "test-plain", "messages": [{"role": "system", "content": ""}]}
    answer = await owner.http.post(PATH, json=body | {"conversation_id": emptied.json()["id"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")


async def test_the_switch_keeps_what_does_not_say_otherwise(owner: AccountClient) -> None:
    await owner.http.patch("/api/chat/settings/", json={"keep_history": True})
    *_, done = await saying(owner, "One")
    *_, unsaved = await saying(owner, "Two", save=False)
    assert "conversation_id" not in unsaved
    assert [one["id"] for one in await saved_conversations(owner)] == [done["conversation_id"]]


async def test_a_retry_is_appended_once(owner: AccountClient) -> None:
    key = uuid.uuid4().hex
    first, again = [await saying(owner, "Once", key=key, save=True) for _ in range(2)]
    assert (first[0], first[-1], text(first)) == (again[0], again[-1], text(again))
    id_ = first[-1]["conversation_id"]
    assert len(await messages(owner, id_)) == 2
    answer = await owner.http.post(
        PATH, json={"model": "test-plain", "message": "Once"}, headers={"idempotency-key": key}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_conflict")


async def test_a_retry_is_answered_though_its_conversation_no_longer_fits(
    owner: AccountClient, upstream: OpenAIServer
) -> None:
    *_, done = await saying(owner, "First", save=True)
    id_, key = done["conversation_id"], uuid.uuid4().hex
    first = await saying(owner, "Second", key=key, model="test-small", conversation_id=id_)
    before = len(upstream.seen)
    await saying(owner, "word " * 3000, conversation_id=id_)
    again = await saying(owner, "Second", key=key, model="test-small", conversation_id=id_)
    assert (first[0], first[-1]["credits_charged"], text(first)) == (
        again[0],
        again[-1]["credits_charged"],
        text(again),
    )
    assert (await owner.http.delete(f"{CONVERSATIONS}{id_}/")).status_code == 204
    again = await saying(owner, "Second", key=key, model="test-small", conversation_id=id_)
    assert (text(again), len(upstream.seen)) == (text(first), before + 1)
    body = {"model": "test-small", "message": "Third", "conversation_id": id_}
    for headers, status in (({"idempotency-key": uuid.uuid4().hex}, 404), ({"idempotency-key": key}, 422)):
        answer = await owner.http.post(PATH, json=body, headers=headers)
        assert answer.status_code == status, answer.text


async def test_turns_at_once_are_each_whole(owner: AccountClient) -> None:
    *_, done = await saying(owner, "First", save=True)
    id_ = done["conversation_id"]
    await asyncio.gather(*(saying(owner, f"Turn {n}", conversation_id=id_) for n in range(8)))
    stored = await messages(owner, id_)
    assert [m["position"] for m in stored] == list(range(1, 19))
    assert [m["role"] for m in stored] == ["user", "assistant"] * 9
    assert sorted(m["content"] for m in stored[2::2]) == [f"Turn {n}" for n in range(8)]
    assert len({m["charge"] for m in stored[1::2]}) == 9


@pytest.mark.parametrize("model", ["test-cut", "test-error-inside"])
async def test_what_broke_off_is_saved_as_far_as_it_came(owner: AccountClient, model: str) -> None:
    spoken = await saying(owner, "Break", model=model, save=True)
    id_ = spoken[-1]["conversation_id"]
    _, answer = await messages(owner, id_)
    assert (answer["content"], answer["partial"], answer["finish_reason"]) == (text(spoken), True, "error")
    assert answer["credits_charged"] == spoken[-1]["credits_charged"] > 0


async def test_what_is_not_charged_is_not_saved(owner: AccountClient) -> None:
    answer = await owner.http.post(PATH, json={"model": "test-busy", "message": "x", "save": True})
    assert answer.status_code == 429
    assert await saved_conversations(owner) == []
    assert (await balance(owner))["held"] == 0


async def test_who_leaves_keeps_what_was_delivered(owner: AccountClient) -> None:
    body = {"model": "test-endless", "message": "On and on", "save": True}
    async with owner.http.stream("POST", PATH, json=body) as answer:
        seen = 0
        async for line in answer.aiter_lines():
            seen += '"delta"' in line
            if seen == 3:
                break
    assert await eventually(lambda: saved_conversations(owner))
    (one,) = await saved_conversations(owner)
    _, left = await messages(owner, one["id"])
    assert (left["partial"], left["finish_reason"]) == (True, None)
    assert left["content"]


async def test_a_conversation_deleted_meanwhile_keeps_nothing_and_the_call_is_charged(owner: AccountClient) -> None:
    *_, done = await saying(owner, "First", save=True)
    id_ = done["conversation_id"]
    body = {"model": "test-endless", "message": "More", "conversation_id": id_, "max_tokens": 200}
    async with owner.http.stream("POST", PATH, json=body) as answer:
        lines = answer.aiter_lines()
        start = events(await anext(lines))[0]
        assert (await owner.http.delete(f"{CONVERSATIONS}{id_}/")).status_code == 204
    receipt = await owner.closed(start["id"])
    assert receipt["state"] == "settled"
    assert await saved_conversations(owner) == []


async def test_a_conversation_that_is_not_there_is_404_and_costs_nothing(new_owner: OpenAccountClient) -> None:
    ann, bob = [await new_owner() for _ in range(2)]
    *_, done = await saying(ann, "Mine", save=True)
    before = await balance(bob)
    for id_ in (done["conversation_id"], str(uuid.uuid4())):
        answer = await bob.http.post(PATH, json={"model": "test-plain", "message": "x", "conversation_id": id_})
        assert answer.status_code == 404
    assert (await balance(bob))["balance"] == before["balance"]


async def test_a_quote_prices_the_saved_messages_too(owner: AccountClient, new_owner: OpenAccountClient) -> None:
    *_, done = await saying(owner, "word " * 500, save=True)
    body = {"model": "test-plain", "message": "More", "max_tokens": 50}
    alone, whole = [
        (await owner.http.post("/api/billing/quote/", json=body | more)).json()
        for more in ({}, {"conversation_id": done["conversation_id"]})
    ]
    assert whole["bounds"]["input_estimate"] > alone["bounds"]["input_estimate"] + 500
    start, *_ = await saying(owner, "More", conversation_id=done["conversation_id"], max_tokens=50)
    assert start["held"] == whole["credits"]["held"] > alone["credits"]["held"]
    foreign = body | {"conversation_id": done["conversation_id"]}
    assert (await (await new_owner()).http.post("/api/billing/quote/", json=foreign)).status_code == 404
    created = await owner.http.post("/api/chat/keys/", json={"name": "bills", "scopes": ["billing"]})
    bills = {"authorization": f"Bearer {created.json()['key']}"}
    answer = await owner.http.post("/api/billing/quote/", json=foreign, headers=bills)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


async def test_what_does_not_fit_the_model_says_what_to_do(owner: AccountClient) -> None:
    *_, done = await saying(owner, "word " * 3000, save=True)
    id_ = done["conversation_id"]
    answer = await owner.http.post(PATH, json={"model": "test-small", "message": "x", "conversation_id": id_})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "Begin a new conversation" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"save": "yes"}, "save"),
        ({"conversation_id": "x"}, "conversation_id"),
        ({"conversation_id": 7}, "conversation_id"),
    ],
)
async def test_wrong_fields_are_named(owner: AccountClient, fields: dict[str, Any], param: str) -> None:
    answer = await owner.http.post(PATH, json={"model": "test-plain", "message": "x", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)

"""`POST /api/chat/stream/` over a real port: its events, its faults, its money, and the same request sent twice."""

import asyncio
import json
import uuid
from typing import Any

import httpx2
import pytest

from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import eventually

PATH = "/api/chat/stream/"
MESSAGE = {"message": "What is 2+2?"}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def streamed(client: AccountClient, model: str, *, key: str = "", **fields: Any) -> list[dict[str, Any]]:
    headers = {"idempotency-key": key} if key else {}
    answer = await client.http.post(PATH, json={"model": model, **MESSAGE, **fields}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events(answer.text)


def text(spoken: list[dict[str, Any]], kind: str = "delta") -> str:
    return "".join(event["text"] for event in spoken if event["type"] == kind)


async def balance(client: AccountClient) -> dict[str, int]:
    balances: dict[str, int] = (await client.http.get("/api/chat/limit/")).json()
    return balances


async def test_a_message_is_answered_in_events_and_charged_once(owner: AccountClient) -> None:
    start, *spoken, done = await streamed(owner, "test-plain", temperature=0.5, max_tokens=50)
    assert set(start) == {"type", "id", "model", "held"}
    assert (start["type"], start["model"]) == ("start", "test-plain")
    assert {event["type"] for event in spoken} == {"delta"}
    assert text(spoken) == ANSWER
    assert set(done) == {"type", "usage", "credits_charged", "balance", "held", "finish_reason"}
    assert (done["type"], done["finish_reason"], done["held"]) == ("done", "stop", start["held"])
    receipt = await owner.get(f"/charges/{start['id']}/")
    assert receipt["credits"]["charged"] == done["credits_charged"] > 0
    assert receipt["credits"]["held"] == start["held"]
    now = await balance(owner)
    assert (now["balance"], now["held"]) == (done["balance"], 0)


async def test_messages_are_taken_as_openai_has_them(owner: AccountClient) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    answer = await owner.http.post(PATH, json={"model": "test-plain", "messages": messages})
    assert text(events(answer.text)) == ANSWER


async def test_parts_of_a_tool_call_have_one_index(owner: AccountClient) -> None:
    calls = [event for event in await streamed(owner, "test-calls-tools") if event["type"] == "tool_call"]
    whole: dict[int, list[str]] = {}
    for call in calls:
        parts = whole.setdefault(call["index"], ["", "", ""])
        for at, name in enumerate(("id", "name", "arguments")):
            parts[at] += call.get(name, "")
    assert whole == {0: ["call_0", "find", '{"q": "a"}'], 1: ["call_1", "look", '{"at": 2}']}


@pytest.mark.parametrize("model", ["test-plain", "test-calls-tools"])
async def test_the_same_key_gives_the_same_answer_for_one_charge(
    owner: AccountClient, upstream: OpenAIServer, model: str
) -> None:
    key, before = uuid.uuid4().hex, len(upstream.seen)
    first, again = [await streamed(owner, model, key=key) for _ in range(2)]
    assert len(upstream.seen) == before + 1
    assert (first[0], first[-1]) == (again[0], again[-1])
    assert text(first) == text(again)
    assert (await balance(owner))["balance"] == first[-1]["balance"]


async def test_a_key_of_one_endpoint_is_not_that_of_another(owner: AccountClient) -> None:
    key, body = uuid.uuid4().hex, {"model": "test-plain", "messages": [{"role": "user", "content": "x"}]}
    for path in (PATH, "/v1/chat/completions"):
        answer = await owner.http.post(path, json=body, headers={"idempotency-key": key})
        assert answer.status_code == 200
        assert "idempotent-replayed" not in answer.headers


async def test_another_request_under_the_same_key_is_a_conflict(owner: AccountClient) -> None:
    key = uuid.uuid4().hex
    await streamed(owner, "test-plain", key=key)
    answer = await owner.http.post(
        PATH, json={"model": "test-plain", "message": "another"}, headers={"idempotency-key": key}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_conflict")


async def test_a_hold_that_grows_is_told_and_the_last_credits_end_the_answer(
    new_owner: OpenAccountClient,
) -> None:
    poor, key = await new_owner(20_000), uuid.uuid4().hex
    start, *spoken, done = await streamed(poor, "test-metered", key=key)
    grown = [event["held"] for event in spoken if event["type"] == "hold"]
    assert len(grown) > 1
    assert [start["held"], *grown] == sorted({start["held"], *grown})
    assert done["held"] == grown[-1]
    assert done["finish_reason"] == "length"
    assert done["credits_charged"] <= done["held"] <= 20_000
    assert (await balance(poor))["balance"] == 20_000 - done["credits_charged"]
    again = await streamed(poor, "test-metered", key=key)
    assert (again[0], again[-1]) == (start, done)
    assert {"type": "hold", "held": done["held"]} in again


async def test_who_cannot_pay_is_refused_before_anything_is_sent(
    new_owner: OpenAccountClient, upstream: OpenAIServer
) -> None:
    before, poor = len(upstream.seen), await new_owner(5)
    answer = await poor.http.post(PATH, json={"model": "test-plain", **MESSAGE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_credits")
    assert len(upstream.seen) == before


async def test_a_provider_that_fails_before_any_output_is_an_answer_with_its_status(
    owner: AccountClient,
) -> None:
    answer = await owner.http.post(PATH, json={"model": "test-busy", **MESSAGE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert (await balance(owner))["held"] == 0


async def test_the_next_route_answers(owner: AccountClient) -> None:
    assert text(await streamed(owner, "test-second")) == ANSWER


@pytest.mark.parametrize("model", ["test-cut", "test-error-inside", "test-garbage"])
async def test_a_stream_that_breaks_says_so_and_what_it_cost(owner: AccountClient, model: str) -> None:
    start, *_, error = await streamed(owner, model)
    assert (error["type"], error["code"]) == ("error", "upstream_error")
    assert "SECRET" not in json.dumps(error)
    receipt = await owner.closed(start["id"])
    assert receipt["credits"]["charged"] == error["credits_charged"]
    assert (await balance(owner))["balance"] == error["balance"]


@pytest.mark.parametrize("key", ["", "a-key-of-its-own"], ids=["without a key", "with a key"])
async def test_who_leaves_pays_for_what_was_produced(owner: AccountClient, upstream: OpenAIServer, key: str) -> None:
    """With a key too, if its client wants that. What was charged once is then not charged again."""
    upstream.aborted.clear()
    body = {"model": "test-endless", **MESSAGE, "max_tokens": 2000, **({"stop_on_disconnect": True} if key else {})}
    headers = {"idempotency-key": key} if key else {}
    async with owner.http.stream("POST", PATH, json=body, headers=headers) as answer:
        lines = answer.aiter_lines()
        start = json.loads((await anext(lines))[6:])
        for _ in range(10):
            await anext(lines)
    assert await asyncio.to_thread(upstream.aborted.wait, 10)
    receipt = await owner.closed(start["id"])
    assert 0 < receipt["credits"]["charged"] < receipt["credits"]["held"]

    async def nothing_is_held() -> bool:
        return (await balance(owner))["held"] == 0

    assert await eventually(nothing_is_held)
    if key:
        again = await owner.http.post(PATH, json=body, headers=headers)
        assert (again.status_code, start["id"] in again.text) == (422, True), again.text


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"conversation_id": "c1"}, "conversation_id", "invalid_value"),
        ({"save": "yes"}, "save", "invalid_type"),
        ({"stop_on_disconnect": "yes"}, "stop_on_disconnect", "invalid_type"),
        ({"message": None}, "messages", "missing_required_parameter"),
        ({"message": 5}, "message", "invalid_type"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages", "invalid_value"),
        ({"n": 2}, "n", "invalid_value"),
        ({"temperature": 9}, "temperature", "invalid_value"),
        ({"model": None}, "model", "missing_required_parameter"),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(
    owner: AccountClient, changes: dict[str, Any], param: str, code: str
) -> None:
    answer = await owner.http.post(PATH, json={"model": "test-plain", **MESSAGE} | changes)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)


async def test_a_stranger_needs_an_account(owner: AccountClient) -> None:
    async with httpx2.AsyncClient(base_url=owner.http.base_url) as stranger:
        answer = await stranger.post(PATH, json={"model": "test-plain", **MESSAGE})
    assert answer.status_code == 401
    assert "Sign in" in answer.json()["error"]["message"]


async def test_the_path_is_taken_without_its_slash_and_other_methods_are_refused(
    owner: AccountClient,
) -> None:
    answer = await owner.http.post(PATH.rstrip("/"), json={"model": "test-plain", **MESSAGE})
    assert answer.status_code == 200
    assert (await owner.http.get(PATH)).status_code == 405


@pytest.mark.parametrize("path", [PATH, "/v1/chat/completions"])
async def test_parameters_that_are_not_sent_are_named_or_refused(owner: AccountClient, path: str) -> None:
    body = {"model": "test-plain", "messages": [{"role": "user", "content": "x"}], "fallbacks": ["dear"], "seed": 1}
    key = {"idempotency-key": f"dropped {path}"}
    answers = [await owner.http.post(path, json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["x-yout-dropped-parameters"] for answer in answers} == {"fallbacks"}
    assert answers[1].headers["idempotent-replayed"] == "true"
    before = await balance(owner)
    for strict in ({"json": body | {"strict": True}}, {"json": body, "headers": {"x-yout-strict": "true"}}):
        refused = await owner.http.post(path, **strict)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "fallbacks")
    assert await balance(owner) == before
    taken = await owner.http.post(path, json={**body, "strict": True, "fallbacks": None})
    assert taken.status_code == 200
    assert "x-yout-dropped-parameters" not in taken.headers


@pytest.mark.parametrize("path", [PATH, "/v1/chat/completions"])
async def test_parameters_that_the_model_rejects_are_named_or_refused(
    owner: AccountClient, upstream: OpenAIServer, path: str
) -> None:
    messages = [{"role": "user", "content": "x"}]
    body = {"model": "test-unsampled", "messages": messages, "temperature": 0.5, "top_p": None, "seed": 1}
    answer = await owner.http.post(path, json=body)
    assert (answer.status_code, answer.headers["x-yout-dropped-parameters"]) == (200, "temperature")
    assert {"temperature", "top_p", "seed"} & upstream.seen[-1].body.keys() == {"seed"}
    refused = await owner.http.post(path, json=body | {"strict": True})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "temperature")
    taken = await owner.http.post(path, json=body | {"strict": True, "temperature": None})
    assert (taken.status_code, "x-yout-dropped-parameters" in taken.headers) == (200, False)


NAMES = ["a\nb", "c\r\nx-forged: 1", "d\0", "ü, é", "word " * 4, *(f"long-{number:04}" for number in range(900))]


@pytest.mark.parametrize("path", [PATH, "/v1/chat/completions", "/v1/chat/completions stream"])
async def test_a_parameter_of_any_name_is_dropped_and_the_answer_comes(owner: AccountClient, path: str) -> None:
    """A header cannot hold each name: the call is charged, so it has to be answered all the same."""
    path, _, stream = path.partition(" ")
    body = {"model": "test-plain", "messages": [{"role": "user", "content": "x"}], "stream": bool(stream)}
    before = await balance(owner)
    for names in ([NAMES[0]], NAMES[:5], NAMES):
        answer = await owner.http.post(path, json=body | dict.fromkeys(names, 1))
        assert answer.status_code == 200
        dropped = answer.headers["x-yout-dropped-parameters"]
        assert dropped.startswith("a%0Ab")
        assert dropped.isascii()
        assert len(dropped) < 4096
        assert "x-forged" not in answer.headers
        assert ANSWER.split()[0] in answer.text
    after = await balance(owner)
    assert (after["held"], after["balance"] < before["balance"]) == (0, True)


async def test_the_rich_catalog_says_what_this_caller_may_call(owner: AccountClient) -> None:
    answer = await owner.http.get("/api/chat/models/")
    assert answer.status_code == 200
    models = {model["id"]: model for model in answer.json()["data"]}
    plain = models["test-plain"]
    assert plain["enabled"]
    assert plain["disabled_reason"] is None
    assert plain["provider"] == "test"
    assert (plain["input_modalities"], plain["output_modalities"]) == (["text"], ["text"])
    assert plain["prices"]["per_1k"]["input"] == 300
    assert models["test-tiered"]["prices"]["tiers"][0]["above"] == 50
    assert models["test-tiered"]["context_window"] == 100_000
    listed = {model["id"]: model for model in (await owner.http.get("/v1/models")).json()["data"]}
    assert set(models) == set(listed)
    assert plain["supported_parameters"] == listed["test-plain"]["supported_parameters"]
    assert "temperature" in plain["supported_parameters"]


async def test_a_model_for_a_plan_or_a_scope_that_one_lacks_is_not_enabled(owner: AccountClient) -> None:
    key = await owner.http.post("/api/chat/keys/", json={"name": "reader", "scopes": ["models", "chat"]})
    headers = {"authorization": f"Bearer {key.json()['key']}"}
    models = (await owner.http.get("/api/chat/models/", headers=headers)).json()["data"]
    reasons = {model["id"]: model["disabled_reason"] for model in models}
    assert reasons["test-plain"] is None
    assert reasons["demo-image"] == "insufficient_scope"
    assert reasons["test-pro"] == "pro_required"

"""Chats that are saved, while the process that serves them is killed: a turn is saved whole with its charge, or not."""

import asyncio
import dataclasses
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from dev import ports
from tests.clients.conftest import OpenAccountClient
from tests.clients.test_native_stream import PATH, balance, events, text
from tests.clients.test_saved_chats import messages, saved_conversations, saying
from tests.support.account_client import AccountClient
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack, eventually

EXPIRE = "UPDATE holds SET lease_until = now() - interval '1 second' WHERE state = 'open' AND account_id = %s"
HOLDS = "SELECT id::text, state, closed_by, charged, relayed_output FROM holds WHERE account_id = %s"
ENDLESS, HANGING = "test-endless", "test-hang"


@dataclass(frozen=True, slots=True)
class Hold:
    id: str
    state: str
    closed_by: str | None
    charged: int
    relayed: int

    @property
    def call_id(self) -> str:
        """As a client knows it."""
        return f"chatcmpl-{self.id.replace('-', '')}"


async def holds(owner: AccountClient) -> dict[str, Hold]:
    async with owner.database.connection() as connection:
        rows: Sequence[Any] = (await connection.exec_driver_sql(HOLDS, (owner.customer.account_id,))).all()
    return {row[0]: Hold(*row) for row in rows}


async def swept(owner: AccountClient) -> dict[str, Hold]:
    """The holds, when their leases have expired and the sweeper of the other API has ended those that were open."""

    async def closed() -> dict[str, Hold] | None:
        every = await holds(owner)
        return every if all(hold.state != "open" for hold in every.values()) else None

    async with owner.database.transaction() as session:
        await (await session.connection()).exec_driver_sql(EXPIRE, (owner.customer.account_id,))
    ended: dict[str, Hold] | None = await eventually(closed)
    assert ended is not None
    return ended


@dataclass(slots=True)
class Dying:
    """Calls through an API that is to be killed."""

    http: httpx2.AsyncClient
    done: list[dict[str, Any]] = field(default_factory=list)

    async def call(self, message: str, key: str = "", **fields: Any) -> str:
        """What came of the answer until it was whole or the process died."""
        body = {"model": "test-plain", "message": message, **fields}
        got = ""
        try:
            async with self.http.stream(
                "POST", PATH, json=body, headers={"idempotency-key": key} if key else {}
            ) as answer:
                async for part in answer.aiter_text():
                    got += part
        except httpx2.TransportError:
            return got
        self.done += [event for event in events(got) if event["type"] == "done"]
        return got

    async def on_and_on(self, fields: dict[str, Any]) -> None:
        while '"done"' in await self.call("Again", **fields):
            pass

    async def have(self, count: int) -> None:
        async def reached() -> bool:
            return len(self.done) >= count

        assert await eventually(reached)


@pytest.fixture
def dying(stack: Stack) -> Stack:
    port = ports.free()
    return dataclasses.replace(stack, port=port, state=stack.state / f"dying-{port}")


async def test_what_is_killed_in_the_middle_is_charged_as_delivered_and_not_saved(
    owner: AccountClient, dying: Stack, upstream: OpenAIServer
) -> None:
    upstream.release.clear()
    *_, first = await saying(owner, "First", save=True)
    id_, keys = first["conversation_id"], [uuid.uuid4().hex for _ in range(3)]
    bodies: Sequence[dict[str, Any]] = (
        {"message": "New", "save": True},
        {"message": "More", "conversation_id": id_},
        {"message": "Before a word", "conversation_id": id_},
    )
    with dying.running("api") as api:
        async with httpx2.AsyncClient(base_url=dying.url, headers=owner.http.headers, timeout=60) as http:
            requests = zip(keys, bodies, (ENDLESS, ENDLESS, HANGING), strict=True)
            calls = [asyncio.create_task(Dying(http).call(key=key, model=model, **b)) for key, b, model in requests]

            async def relaying() -> bool:
                running = [hold for hold in (await holds(owner)).values() if hold.state == "open"]
                return len(running) == 3 and sum(hold.relayed > 0 for hold in running) == 2

            assert await eventually(relaying)
            api.kill()
            cut = await asyncio.gather(*calls)
    assert not any('"done"' in each for each in cut)
    ended = [hold for hold in (await swept(owner)).values() if hold.closed_by == "sweeper"]
    assert sorted((hold.state, hold.relayed > 0, hold.charged > 0) for hold in ended) == [
        ("settled", True, True),
        ("settled", True, True),
        ("void", False, False),
    ]
    assert (await balance(owner))["held"] == 0
    (saved,) = await saved_conversations(owner)
    assert (saved["id"], saved["message_count"]) == (id_, 2)
    upstream.release.set()
    await _the_charged_are_named_and_the_other_is_made(owner, bodies, keys)


async def _the_charged_are_named_and_the_other_is_made(
    owner: AccountClient, bodies: Sequence[dict[str, Any]], keys: Sequence[str]
) -> None:
    """The retries: nothing is charged a second time, and a turn that was not charged is saved once."""
    for body, key in zip(bodies[:2], keys[:2], strict=True):
        answer = await owner.http.post(PATH, json={"model": ENDLESS, **body}, headers={"idempotency-key": key})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (422, "idempotency_conflict")
        assert "explains the charge" in error["message"]
    spoken = [await saying(owner, key=keys[2], **bodies[2], model=HANGING) for _ in range(2)]
    assert spoken[0][-1] == spoken[1][-1]
    assert text(spoken[0]) == text(spoken[1]) == ANSWER
    saved = await messages(owner, spoken[0][-1]["conversation_id"])
    assert [m["content"] for m in saved] == ["First", ANSWER, "Before a word", ANSWER]


async def test_killed_at_any_moment_each_turn_is_saved_whole_with_its_charge_or_not_at_all(
    new_owner: OpenAccountClient, dying: Stack
) -> None:
    owner = await new_owner(10_000_000)
    *_, first = await saying(owner, "First", save=True)
    done = [first]
    for enough in (8, 25):
        with dying.running("api") as api:
            async with httpx2.AsyncClient(base_url=dying.url, headers=owner.http.headers, timeout=60) as http:
                calls = Dying(http, done)
                ways = [{"save": True}, {"conversation_id": first["conversation_id"]}] * 3
                running = [asyncio.create_task(calls.on_and_on(way)) for way in ways]
                await calls.have(enough)
                api.kill()
                await asyncio.gather(*running)
    ended = {hold.call_id: hold for hold in (await swept(owner)).values()}
    saved = [await messages(owner, one["id"]) for one in await saved_conversations(owner)]
    for conversation in saved:
        assert [m["position"] for m in conversation] == list(range(1, len(conversation) + 1))
        assert [m["role"] for m in conversation] == ["user", "assistant"] * (len(conversation) // 2)
    answers = [m for conversation in saved for m in conversation[1::2]]
    assert {m["content"] for m in answers} == {ANSWER}
    charged = {hold.call_id: hold.charged for hold in ended.values() if hold.closed_by == "call"}
    assert {m["charge"]: m["credits_charged"] for m in answers} == charged
    assert len(answers) == len(charged) >= len(done), "what a done event calls saved is saved"
    spent = sum(hold.charged for hold in ended.values())
    now = await balance(owner)
    assert (now["balance"], now["held"]) == (10_000_000 - spent, 0)

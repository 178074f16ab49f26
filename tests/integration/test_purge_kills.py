"""Workers killed with SIGKILL before and after every step of a purge: another one completes it, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from signal import SIGKILL
from typing import Any

import pytest
import pytest_asyncio

from tests.support import receipt_verifier
from tests.support.media_stack import Customer, World, embedded, until
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIVITIES = (
    *("cut_calls", "count_before_purge", "destroy_keys", "delete_media", "is_media_left", "delete_rows"),
    *("roll_up_calls", "conclude_purge"),
)
DEATHS = [f"{activity}:{moment}" for activity in ACTIVITIES for moment in ("before", "after")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("purge-kills")
    async with AsyncExitStack() as opened:
        postgres, server = await opened.enter_async_context(embedded(folder))
        stack = Stack.on(postgres, folder / "state", server.address)
        opened.enter_context(stack.running("api"))
        yield await opened.enter_async_context(World.of(stack))


async def say(customer: Customer) -> None:
    body = {"model": "demo-chat", "messages": [{"role": "user", "content": "a word"}]}
    answer = await customer.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text


async def completed(customer: Customer, purge_id: str) -> Any:
    async def polled() -> Any:
        view = (await customer.http.get(f"/api/chat/purge/{purge_id}/")).json()
        return view if view["status"] == "completed" else None

    return await until(polled, "a purge to complete")


async def test_killed_around_every_step_it_completes_once(world: World) -> None:
    """One purge for each death, one after the other: the worker that is killed, and the one that goes on."""
    ann = await world.customer()
    for failpoint in DEATHS:
        await say(ann)
        before = await ann.balance()
        with world.stack.running("worker", {"YOUT_FAILPOINT": failpoint, "YOUT_WORKER_QUEUES": "purge"}) as doomed:
            begun = await ann.http.post("/api/chat/purge/", json={"confirm": "erase"})
            assert begun.status_code == 202, begun.text
            await asyncio.to_thread(doomed.wait, 60)
            assert doomed.returncode == -SIGKILL, failpoint
        with world.stack.running("worker", {"YOUT_WORKER_QUEUES": "purge"}):
            done = await completed(ann, begun.json()["purge_id"])
        receipt = done["receipt"]
        assert (receipt["rolled_up"]["calls"], receipt["deleted"]["usage_entries"]) == (1, 1), failpoint
        assert (receipt["keys_destroyed"], done["erased"]["calls"]) == (1, 1), failpoint
        assert receipt["balance"]["after"] == receipt["balance"]["before"] == before[0]
        assert await ann.balance() == before
        await world.books_are_clean()
    listed = (await ann.http.get("/api/chat/purge/")).json()["data"][::-1]
    jwks = (await ann.http.get("/.well-known/yout-receipts.json")).json()
    receipts = [one["receipt"] for one in listed]
    assert len(receipts) == len(DEATHS)
    for number, receipt in enumerate(receipts):
        assert receipt_verifier.is_valid(receipt, jwks)
        assert receipt_verifier.follows(receipt, receipts[number - 1] if number else None)

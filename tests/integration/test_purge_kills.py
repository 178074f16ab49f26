"""Workers killed with SIGKILL after every step of a purge, and before the first and the last: another completes it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
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
DEATHS = ["cut_calls:before", "conclude_purge:before", *(f"{activity}:after" for activity in ACTIVITIES)]

QUEUE = {"YOUT_WORKER_QUEUES": "purge"}


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


async def begun(customer: Customer) -> str:
    await say(customer)
    answer = await customer.http.post("/api/chat/purge/", json={"confirm": "erase"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["purge_id"])


async def test_killed_around_every_step_each_purge_completes_once(world: World) -> None:
    """All deaths at once: each worker lives until it comes to its step, in whichever purge that is."""
    customers = [await world.customer() for _ in DEATHS]
    with ExitStack() as processes:
        failing = [
            processes.enter_context(world.stack.running("worker", QUEUE | {"YOUT_FAILPOINT": death}))
            for death in DEATHS
        ]

        async def all_dead() -> bool:
            for customer in customers:  # a purge more for each account, until every step has killed its worker
                listed = (await customer.http.get("/api/chat/purge/")).json()["data"]
                if not listed or listed[0]["status"] == "completed":
                    await begun(customer)
            return all(worker.poll() is not None for worker in failing)

        await until(all_dead, "every worker to die")
        assert [worker.returncode for worker in failing] == [-SIGKILL] * len(DEATHS)
        processes.enter_context(world.stack.running("worker", QUEUE))
        jwks = (await customers[0].http.get("/.well-known/yout-receipts.json")).json()
        for customer in customers:
            await all_completed(customer, jwks)
    await world.books_are_clean()


async def all_completed(customer: Customer, jwks: dict[str, Any]) -> None:
    listed = (await customer.http.get("/api/chat/purge/")).json()["data"]
    left = 0
    for view in reversed(listed):
        receipt = (await completed(customer, view["purge_id"]))["receipt"]
        assert receipt_verifier.is_valid(receipt, jwks)
        assert (receipt["rolled_up"]["calls"], receipt["deleted"]["usage_entries"]) == (1, 1)
        assert receipt["keys_destroyed"] == 1
        left = receipt["balance"]["after"]
        assert left == receipt["balance"]["before"]
    assert await customer.balance() == (left, 0)

"""What the provider that answered bills for a call: exact beside its charge, and nowhere for its owner to see."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from db.audit import audit
from tests.support.account_client import AccountClient
from tests.support.stack import Stack

COST = "233.016501"
"""1,000 tokens of input and 33 of output, at the second route's cost: the first one did not answer."""


async def rows(stack: Stack, owner: AccountClient, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        return await (await connection.execute(query.encode(), [owner.customer.account_id])).fetchall()


async def usage_rows(stack: Stack, owner: AccountClient) -> list[Any]:
    return await rows(stack, owner, "SELECT provider, provider_cost, credits FROM usage WHERE account_id = %s")


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_cost_is_that_of_the_route_that_answered(owner: AccountClient, stack: Stack, streamed: bool) -> None:
    if streamed:
        receipt = await owner.closed(await owner.streamed("test-costed", max_tokens=50))
    else:
        receipt = await owner.charged("test-costed", max_tokens=50)
    ((provider, cost, credits),) = await usage_rows(stack, owner)
    assert (provider, cost, credits) == ("foreign", Decimal(COST), receipt["credits"]["charged"])
    rolled_up = "SELECT provider_cost, costed, calls FROM usage_days WHERE account_id = %s"
    assert await rows(stack, owner, rolled_up) == [(Decimal(COST), 1, 1)]
    usage = await owner.get("/usage/")
    seen = json.dumps([usage, receipt, await owner.get("/charges/")])
    assert "provider_cost" not in seen
    assert COST not in seen


async def test_a_cost_that_nobody_knows_is_not_zero(owner: AccountClient, stack: Stack) -> None:
    await owner.charged("test-plain", max_tokens=50)
    ((provider, cost, _),) = await usage_rows(stack, owner)
    assert (provider, cost) == ("foreign", None)


async def operator_json(stack: Stack, *words: str) -> Any:
    return await asyncio.to_thread(stack.yout, "usage", *words)


async def test_the_operator_sees_the_margin(owner: AccountClient, stack: Stack) -> None:
    refunded = await owner.charged("test-costed", max_tokens=50)
    charge = await owner.charged("test-costed", max_tokens=50)
    plain = await owner.charged("test-plain", max_tokens=50)
    await asyncio.to_thread(stack.yout, "refund", refunded["id"], "--reason", "It was wrong.")
    charged = {name: receipt["credits"]["charged"] for name, receipt in (("costed", charge), ("plain", plain))}
    account = str(owner.customer.account_id)

    by_model = {row["model"]: row for row in (await operator_json(stack, account, "--by", "model"))["data"]}
    assert by_model["test-costed"] == {
        "model": "test-costed",
        "calls": 2,
        "charged": 2 * charged["costed"],
        "refunded": charged["costed"],
        "written_off": 0,
        "provider_cost": "466.033002",
        "margin": str(charged["costed"] - Decimal("466.033002")),
        "uncosted": 0,
    }
    unknown = by_model["test-plain"]
    assert (unknown["provider_cost"], unknown["margin"], unknown["uncosted"]) == (None, None, 1)

    for by in ("day", "key", "provider"):
        report = await operator_json(stack, account, "--by", by)
        total = report["total"]
        assert (total["calls"], total["uncosted"], total["provider_cost"]) == (3, 1, "466.033002")
        assert (total["charged"], total["refunded"]) == (2 * charged["costed"] + charged["plain"], charged["costed"])
        (only,) = report["data"]
        assert only[by] == {"provider": "foreign"}.get(by, only[by])
        assert {**only, by: None} == {**total, by: None}
    nothing = await operator_json(stack, account, "--to", "2020-01-01")
    assert (nothing["data"], nothing["total"]["calls"], nothing["total"]["margin"]) == ([], 0, "0")


async def test_the_roll_up_is_what_the_rows_add_up_to(owner: AccountClient) -> None:
    for model in ("test-costed", "test-costed", "test-plain"):
        await owner.charged(model, max_tokens=50)
    async with owner.database.connection() as connection:
        findings = await audit(connection)
    assert "usage_day_cost_drift" not in findings.counts

"""Plans on a real database: begun, ended, caught up with, and refused at the instant of their end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import psycopg
import pytest

from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import NotFound, ProRequired, RequestInvalid
from domain.operations import Reserve
from domain.plans import month_after
from domain.results import Reserved
from gateway import plans
from gateway.plans import Changed
from tests.support import stripe_events as stripe
from tests.support.bank import Customer, reserve
from tests.support.shop import OFFERS, Shop


@pytest.fixture
async def shop(database: Database, ledger: LedgerWriter) -> AsyncIterator[Shop]:
    shop = Shop(database, ledger)
    yield shop
    assert await shop.audited() == {}


async def start(
    shop: Shop, customer: Customer, plan: str = "pro", until: datetime | Literal["same", "never"] = "same"
) -> Changed:
    async with shop.database.transaction() as session:
        return await plans.start(session, shop.offers, customer.account_id, plan, until=until)


async def end(shop: Shop, customer: Customer, at: datetime | None = None) -> Changed:
    async with shop.database.transaction() as session:
        return await plans.end(session, shop.offers, customer.account_id, at=at)


def pro_call(customer: Customer) -> Reserve:
    call = reserve(customer, 10)
    call.pro_only = True  # type: ignore[misc]
    return call


async def test_a_plan_gives_its_first_month_at_once_and_once(shop: Shop) -> None:
    owner = await shop.account()
    assert (await start(shop, owner)).credits == 1_000_000
    again = await start(shop, owner)
    assert (again.credits, again.repeated) == (0, True)
    until = datetime.now(UTC) + timedelta(days=3)
    other_end = await start(shop, owner, until=until)
    assert (other_end.credits, other_end.repeated, other_end.standing.until) == (0, False, until)
    assert await start(shop, owner) == Changed(other_end.standing, 0, repeated=True), "an end is not forgotten"
    assert (await start(shop, owner, until="never")).standing.until is None
    assert await shop.grant_round() == 0
    assert await shop.available(owner) == 1_000_000
    with pytest.raises(NotFound, match=r"no plan 'gold'\. Its plans: pro, team"):
        await start(shop, owner, "gold")
    with pytest.raises(RequestInvalid, match="in the future"):
        await start(shop, owner, until=datetime.now(UTC))


async def test_a_plan_that_is_started_again_within_its_month_goes_on(shop: Shop) -> None:
    owner = await shop.account()
    await start(shop, owner)
    ended = await end(shop, owner)
    assert (ended.standing.active, ended.repeated) == (False, False)
    assert (await end(shop, owner)).repeated
    again = await start(shop, owner)
    assert (again.credits, again.standing.active) == (0, True)
    assert (await start(shop, owner, "team")).credits == 5_000_000, "another plan ends the first one"
    assert await shop.plan(owner) == ("team", True, None)
    assert await shop.grant_round(datetime.now(UTC) + timedelta(days=32)) == 1
    assert await shop.available(owner) == 11_000_000


async def test_a_plan_that_ended_in_a_downtime_goes_on_within_a_month_that_is_overdue(
    shop: Shop, database_url: str
) -> None:
    owner = await shop.account()
    await start(shop, owner)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "UPDATE plan_terms SET begins_at = now() - interval '75 days', ends_at = now() - interval '1 day',"
            " next_grant_at = now() - interval '44 days'"
        )
    again = await start(shop, owner)
    assert (again.credits, again.standing.active) == (2_000_000, True)
    assert await shop.grant_round() == 0
    assert await shop.available(owner) == 3_000_000


async def test_a_plan_is_over_at_the_instant_of_its_end(shop: Shop, database_url: str) -> None:
    """No task runs: the ledger decides, with its own clock."""
    owner = await shop.account(1000)
    with pytest.raises(ProRequired):
        await shop.ledger.ask(pro_call(owner))
    await start(shop, owner, until=datetime.now(UTC) + timedelta(hours=1))
    assert isinstance(await shop.ledger.ask(pro_call(owner)), Reserved)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("UPDATE accounts SET plan_until = now()")
        cursor = await connection.execute("UPDATE plan_terms SET ends_at = now() RETURNING ends_at")
        ((until,),) = await cursor.fetchall()
    with pytest.raises(ProRequired):
        await shop.ledger.ask(pro_call(owner))
    assert await shop.plan(owner) == ("pro", False, until)
    assert isinstance(await shop.ledger.ask(reserve(owner, 10)), Reserved), "other models go on"


async def test_what_was_missed_is_given_once_each(shop: Shop) -> None:
    """By any number of rounds at the same time, of an account each by itself."""
    owners = [await shop.account() for _ in range(5)]
    begun = datetime.now(UTC)
    for owner in owners:
        await start(shop, owner, until=month_after(begun, 3) - timedelta(days=1))
    late = month_after(begun, 7)
    assert sum(await asyncio.gather(*(shop.grant_round(late) for _ in range(3)))) == len(owners)
    assert [await shop.available(owner) for owner in owners] == [3_000_000] * 5
    assert await shop.grant_round(month_after(begun, 50)) == 0


async def test_one_account_in_trouble_is_not_the_others_trouble(shop: Shop) -> None:
    owners = [await shop.account() for _ in range(5)]
    begun = datetime.now(UTC)
    for number, owner in enumerate(owners):
        await start(shop, owner, "team" if number == 1 else "pro")
    shop.offers = type(OFFERS)({"pro": OFFERS.plans["pro"]}, {}, {}, {})
    late = begun + timedelta(days=32)
    assert await shop.grant_round(late) == 4
    assert [line for line in shop.faults.lines if str(owners[1].account_id) in line] == shop.faults.lines != []
    shop.offers = OFFERS
    assert await shop.grant_round(late) == 1
    assert [await shop.available(owner) for owner in owners] == [2_000_000, 10_000_000, *[2_000_000] * 3]


async def test_a_plan_that_was_paid_for_ends_with_its_subscription_alone(shop: Shop) -> None:
    owner = await shop.account()
    begun = datetime.now(UTC).replace(microsecond=0)
    paid = stripe.invoice(
        "in_1", "sub_1", (begun, month_after(begun, 1)), metadata={"account_id": str(owner.account_id)}
    )
    await shop.send(stripe.event("invoice.paid", paid))
    with pytest.raises(RequestInvalid, match="ends with its subscription"):
        await end(shop, owner)
    await start(shop, owner, "team")
    assert (await shop.plan(owner))[0] == "team"
    await end(shop, owner)
    assert (await shop.plan(owner))[:2] == ("pro", True), "what was paid for goes on"


async def test_the_statement_says_what_credits_are_for(shop: Shop, database_url: str) -> None:
    owner, before = await shop.account(), datetime.now(UTC)
    await start(shop, owner)
    days = {f"{moment:%Y-%m-%d}" for moment in (before, datetime.now(UTC))}
    await shop.send(
        stripe.event("checkout.session.completed", stripe.session("pi_1", account=owner.account_id)),
        stripe.event("charge.refunded", stripe.charge("pi_1", refunded=400)),
    )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT note, ref FROM transactions ORDER BY position")
        notes, refs = zip(*await cursor.fetchall(), strict=True)
    month, *others = notes
    assert month in {f"plan pro, month from {day}" for day in days}
    assert others == ["payment pi_1: credits", "payment pi_1: money that went back"]
    assert refs[1:] == ("stripe:pi_1", "stripe:pi_1:1")

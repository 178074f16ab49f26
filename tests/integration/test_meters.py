"""Counts by meter in the database: as they were billed, added up by day, and checked by the audit."""

import asyncio
import uuid
from decimal import Decimal
from typing import Any

import orjson
import psycopg
import pytest

from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from domain.meters import Meter, Tier, TokenPrices, per_thousand
from domain.operations import Reserve, Settle
from domain.pricing import TextTerms, Usage, UsageSource
from domain.results import Closed
from tests.support.bank import Customer, open_account

USUAL = per_thousand(
    input=Decimal(300),
    output=Decimal(1500),
    cached_input=Decimal(30),
    audio_output=Decimal(6400),
    web_search=Decimal(1_000_000),
)
LONG = {name: value * 2 for name, value in USUAL.items()}
FLEX = {name: value // 2 for name, value in USUAL.items()}
PRICES = TokenPrices(USUAL, (Tier(5000, LONG),), {"flex": TokenPrices(FLEX)})


def used(whole: tuple[int, int], **parts: int) -> Usage:
    return Usage(*whole, UsageSource.PROVIDER, **parts)  # type: ignore[arg-type]


async def charge(ledger: LedgerWriter, customer: Customer, usage: Usage, prices: TokenPrices = PRICES) -> int:
    terms = TextTerms(prices, "v", input_bound=10_000, input_count=100, output_limit=1000, model_limit=1000)
    hold_id = uuid.uuid4()
    await ledger.ask(Reserve(hold_id, "chat", "chat", "m", terms, customer.digest))
    closed = await ledger.ask(Settle(hold_id, customer.account_id, usage))
    assert isinstance(closed, Closed)
    return closed.charged


async def drifts(database: Database) -> dict[str, int]:
    async with database.connection() as connection:
        return (await audit(connection)).counts


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("together", [False, True])
async def test_counts_are_written_as_billed_and_added_up_by_day(database_url: str, together: bool) -> None:
    calls = [
        used((1000, 200), cached_tokens=100),
        used((1000, 200), audio_output_tokens=50, web_searches=2),
        used((6000, 100), web_searches=3, cached_tokens=1000),
        used((1000, 200), image_input_tokens=900),
    ]
    database = Database.open(database_url, pool=2)
    async with LedgerWriter(database_url) as ledger:
        customer = await open_account(database, ledger, 1_000_000)
        if together:
            charged = await asyncio.gather(*(charge(ledger, customer, usage) for usage in calls))
        else:
            charged = [await charge(ledger, customer, usage) for usage in calls]
        flexible = PRICES.requested("flex")
        charged.append(await charge(ledger, customer, used((1000, 200), web_searches=1), flexible))
        charged.append(
            await charge(ledger, customer, Usage(1000, 200, UsageSource.PROVIDER, service_tier="default"), flexible)
        )
    assert charged == [573, 300 + 225 + 320 + 2000, 3000 + 60 + 300 + 6000, 600, 150 + 150 + 500, 600]
    written = rows(database_url, "SELECT meters, service_tier FROM usage ORDER BY credits, input_tokens")
    assert [(counts, tier) for counts, tier in written if counts or tier] == [
        ({}, "default"),
        ({"input": 1000, "output": 200, "web_search": 1}, None),
        ({"input": 1000, "output": 150, "audio_output": 50, "web_search": 2}, None),
        ({"input": 5000, "cached_input": 1000, "output": 100, "web_search": 3}, None),
    ]
    ((calls_, tokens_in, counts),) = rows(database_url, "SELECT calls, input_tokens, meters FROM usage_days")
    assert (calls_, tokens_in) == (6, 11_000)
    assert (counts["web_search"], counts["audio_output"]) == (6, 50)
    assert await drifts(database) == {}
    await database.close()


@pytest.mark.parametrize(
    "corruption",
    [
        "UPDATE usage SET meters = meters || '{\"web_search\": 1}'",
        "UPDATE usage SET meters = '{}'",
        "UPDATE usage SET service_tier = 'default'",
        "UPDATE holds SET prices = jsonb_set(prices, '{rates,web_search}', '1')",
    ],
)
async def test_a_count_that_was_not_billed_is_named(database_url: str, corruption: str) -> None:
    database = Database.open(database_url, pool=2)
    async with LedgerWriter(database_url) as ledger:
        customer = await open_account(database, ledger, 1_000_000)
        await charge(ledger, customer, used((1000, 200), web_searches=2), PRICES.requested("flex"))
    assert await drifts(database) == {}
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(corruption.encode())
    assert "charge_not_as_priced" in await drifts(database)
    await database.close()


async def test_a_process_of_the_release_before_settles_what_this_one_has_held_and_the_other_way(
    database_url: str,
) -> None:
    """It writes no counts by meter, and freezes no other meters than the four that every model has."""
    database = Database.open(database_url, pool=2)
    async with LedgerWriter(database_url) as ledger:
        customer = await open_account(database, ledger, 1_000_000)
        terms = TextTerms(TokenPrices(USUAL), "v", 10_000, 100, 1000, 1000)
        hold_id = uuid.uuid4()
        await ledger.ask(Reserve(hold_id, "chat", "chat", "m", terms, customer.digest))
        frozen = {name: USUAL[name] for name in (Meter.INPUT, Meter.OUTPUT, Meter.CACHED_INPUT, Meter.CACHE_WRITE)}
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "UPDATE holds SET prices = %s::jsonb",
                [orjson.dumps({"rates": {str(name): value for name, value in frozen.items()}, "tiers": []}).decode()],
            )
        closed = await ledger.ask(Settle(hold_id, customer.account_id, used((1000, 200), web_searches=2)))
        assert isinstance(closed, Closed)
        assert closed.charged == 600
    assert rows(database_url, "SELECT meters FROM usage") == [({},)]
    await database.close()

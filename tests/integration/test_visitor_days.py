"""A visitor's day: its counts, its random key, what it may cost, and that nothing of it is left afterwards."""

import asyncio
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial

import psycopg

from db.engine import Database
from db.visitors import day_aad
from db.writer import LedgerWriter
from domain.house_account import HOUSE_ACCOUNT
from domain.operations import Reserve
from domain.rounds import MaintenanceErrors
from domain.sealing import Wrapping
from gateway.visitor_days import VisitorDays
from gateway.visitors import GRACE, VisitorMaintenance
from tests.integration.test_ledger import proven
from tests.support.bank import WRAPPING, Customer, balance, reserve, settle

TODAY, NETWORK = date(2026, 3, 1), "192.0.2.7"
TOMORROW, LIMIT, CREDITS = TODAY + timedelta(days=1), 20, 1000
HOUSE = Customer(HOUSE_ACCOUNT, "")


class SilentLog:
    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        raise AssertionError(where)

    def clear(self, where: str) -> None: ...


def _same(moment: datetime) -> datetime:
    return moment


def days(database: Database, credits: int = CREDITS, wrapping: Wrapping = WRAPPING) -> VisitorDays:
    return VisitorDays(database, wrapping, credits)


async def taken(days: VisitorDays, day: date = TODAY, network: str = NETWORK) -> int | None:
    """The count of a message of a visitor without a cookie."""
    return (await days.take(day, uuid.uuid4(), network, LIMIT))[1]


def rows(url: str) -> dict[date, tuple[bytes, set[bytes]]]:
    """Of each day, its key and its digests."""
    with psycopg.connect(url) as connection:
        stored = connection.execute("SELECT day, wrapped FROM visitor_days").fetchall()
        counts = connection.execute("SELECT day, digest FROM visitor_counts").fetchall()
    return {day: (key, {digest for of, digest in counts if of == day}) for day, key in stored}


def refs(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        query = "SELECT kind, ref FROM transactions WHERE account_id = %s AND ref IS NOT NULL ORDER BY position"
        return [(kind, ref) for kind, ref in connection.execute(query, [HOUSE_ACCOUNT])]


async def spend(ledger: LedgerWriter, credits: int) -> None:
    order = reserve(HOUSE, credits)
    hold = await ledger.ask(
        Reserve(order.hold_id, order.scope, order.kind, order.model, order.terms, account_id=HOUSE_ACCOUNT)
    )
    assert hold
    await ledger.ask(settle(HOUSE, order.hold_id, credits))


async def test_two_pools_count_exactly_from_the_first_message_of_the_day(
    database: Database, app_url: str, database_url: str
) -> None:
    other = Database.open(app_url)
    pools = [days(database), days(other)]
    counts = await asyncio.gather(*(taken(pools[number % 2]) for number in range(100)))
    expected: dict[int | None, int] = dict.fromkeys(range(1, LIMIT + 1), 1)
    assert Counter(counts) == expected | {None: 80}
    assert refs(database_url) == [("grant", f"visitors:{TODAY}")]
    assert await balance(database_url, HOUSE) == (CREDITS, 0, 0)
    await other.close()
    await proven(database)


async def test_a_refused_message_counts_nowhere(database: Database) -> None:
    counted = days(database)
    ann, bob = uuid.uuid4(), uuid.uuid4()
    for _ in range(LIMIT):
        await counted.take(TODAY, ann, NETWORK, LIMIT)
    for network in (NETWORK, "192.0.2.8"):
        assert (await counted.take(TODAY, ann, network, LIMIT))[1] is None
    assert (await counted.take(TODAY, bob, NETWORK, LIMIT))[1] is None
    assert await counted.used(TODAY, bob, "192.0.2.8") == 0
    assert (await counted.take(TODAY, bob, "192.0.2.8", LIMIT))[1] == 1


async def test_what_is_given_back_may_be_sent_again(database: Database) -> None:
    counted, ann = days(database), uuid.uuid4()
    digests, _ = await counted.take(TODAY, ann, NETWORK, LIMIT)
    for _ in range(LIMIT - 1):
        await counted.take(TODAY, ann, NETWORK, LIMIT)
    assert await counted.give_back(TODAY, digests) == LIMIT - 1
    assert await counted.used(TODAY, ann, NETWORK) == LIMIT - 1
    assert (await counted.take(TODAY, ann, NETWORK, LIMIT))[1] == LIMIT
    for _ in range(LIMIT + 2):
        await counted.give_back(TODAY, digests)
    assert await counted.used(TODAY, ann, NETWORK) == 0


async def test_a_new_day_has_a_new_allowance_and_another_key(database: Database, database_url: str) -> None:
    counted, ann = days(database), uuid.uuid4()
    for day in (TODAY, TOMORROW):
        assert (await counted.take(day, ann, NETWORK, LIMIT))[1] == 1
    (key, first), (other, second) = rows(database_url).values()
    assert (len(first), len(second)) == (2, 2)
    assert key != other
    assert not first & second  # the same visitor and network, and nothing in common


async def test_a_day_that_has_ended_leaves_neither_its_key_nor_its_hashes(
    database: Database, database_url: str
) -> None:
    counted = days(database)
    await taken(counted)
    await taken(counted, TOMORROW)
    key, digests = rows(database_url)[TODAY]
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    forgotten = []
    for moment in (midnight, midnight + GRACE - timedelta(seconds=1), midnight + GRACE):
        maintenance = VisitorMaintenance(database, MaintenanceErrors(SilentLog(), str), partial(_same, moment))
        forgotten.append(await maintenance.forget())
    assert forgotten == [0, 0, 1]
    assert set(rows(database_url)) == {TOMORROW}
    with psycopg.connect(database_url) as connection:
        for value in (key, *digests):
            query = "SELECT FROM visitor_days LEFT JOIN visitor_counts USING (day) WHERE %s IN (wrapped, digest)"
            assert connection.execute(query, [value]).fetchone() is None
    assert await taken(counted) == 1  # a clock that is far behind begins the day anew, without new credits
    assert await balance(database_url, HOUSE) == (CREDITS, 0, 0)


async def test_the_house_account_has_each_day_what_visitors_may_cost(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    await taken(days(database))
    await spend(ledger, 300)
    await taken(days(database))  # another process, later that day
    assert await balance(database_url, HOUSE) == (700, 0, 0)
    await taken(days(database), TOMORROW)
    assert await balance(database_url, HOUSE) == (CREDITS, 0, 0)
    await taken(days(database, 400), TOMORROW + timedelta(days=1))
    assert await balance(database_url, HOUSE) == (400, 0, 0)
    await taken(days(database, 0), TOMORROW + timedelta(days=2))
    assert await balance(database_url, HOUSE) == (0, 0, 0)
    assert [kind for kind, _ in refs(database_url)] == ["grant", "grant", "adjust", "adjust"]
    await proven(database)


async def test_a_day_begun_with_a_full_account_gives_nothing_later(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    await taken(days(database))
    await taken(days(database), TOMORROW)
    await spend(ledger, 300)
    await taken(days(database), TOMORROW)
    assert await balance(database_url, HOUSE) == (700, 0, 0)


async def test_a_key_that_the_master_secret_does_not_open_is_replaced_once(
    database: Database, database_url: str
) -> None:
    old, new = "an old secret of the tests, long enough", "a new secret of the tests, long enough"
    await taken(days(database, wrapping=Wrapping.of("nobody knows this secret any more, at all")))
    only_old, both = days(database, wrapping=Wrapping.of(old)), days(database, wrapping=Wrapping.of(new, [old]))
    assert await only_old.used(TODAY, uuid.uuid4(), NETWORK) == 0
    assert [await taken(only_old), await taken(both), await taken(only_old)] == [1, 2, 3]
    (key, _), *_ = rows(database_url).values()
    assert len(Wrapping.of(old).unwrap(key, aad=day_aad(TODAY))) == 32


async def test_a_flood_of_visitors_leaves_the_pool_to_accounts(database: Database, app_url: str) -> None:
    await taken(days(database))
    slow = await psycopg.AsyncConnection.connect(app_url)
    await slow.execute("SELECT FROM visitor_counts FOR UPDATE")
    flood = [asyncio.create_task(taken(days(database))) for _ in range(50)]
    await asyncio.sleep(0.2)
    for _ in range(20):
        await database.check_writable()
    assert not any(task.done() for task in flood)
    await slow.close()
    assert Counter(map(bool, await asyncio.gather(*flood))) == {True: LIMIT - 1, False: 31}

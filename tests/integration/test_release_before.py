"""A process of the release before goes on while a newer one has migrated: what it reads and writes is right too.

Its columns and statements are those of that release (commit 3fc4191). It decides by the rules of this one, without
epochs and parents' limits.
"""

import base64
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
import pytest_asyncio

from db.audit import audit
from db.engine import Database
from db.ledger_writes import statements
from db.writer import LedgerWriter
from domain.decisions import decide
from domain.errors import AlreadyRunning, CallerUnknown, HoldVoided, RateLimited
from domain.holds import ClosedBy, Hold, HoldState
from domain.ledger import Account, Changes, IdempotencyRecord, Key, Secret, State
from domain.limits import Limits, Used
from domain.money import MINIMUM_CHARGE
from domain.operations import Grant, IdempotencyClaim, Operation, Refund, Renew, Reserve, Settle, Void
from domain.results import Closed, Granted, Renewed, Replay, Reserved, Result
from tests.integration.test_key_families import counted, family
from tests.support import purging
from tests.support.bank import PRICES, balance, open_account, reserve, settle, void

ACCOUNT = (
    *("id", "available", "held", "open_holds", "movements", "moved_at", "suspended", "plan_active"),
    *("recognise_retries", "requests_tat", "tokens_tat"),
)
USED = ("requests_tat", "tokens_tat", "open_holds", "day", "day_credits", "month", "month_credits")
KEY = ("id", "account_id", "scopes", "dead", "limits", *USED)
HOLD = (
    *("id", "account_id", "key_id", "kind", "model", "state", "amount", "price_version", "prices", "input_bound"),
    *("input_count", "output_limit", "choices", "tokens_taken", "tokens_limit", "account_tokens_limit"),
    *("relayed_output", "charged", "written_off", "refunded", "lease_until", "created_at", "closed_at", "closed_by"),
    "max_credits",
)
USAGE = (
    *("hold_id", "account_id", "key_id", "kind", "model", "input_tokens", "cached_tokens", "cache_write_tokens"),
    *("output_tokens", "credits", "written_off", "source", "provider", "provider_cost", "meters", "service_tier"),
    "created_at",
)
READ = """
SELECT ledger_lock(%(accounts)s::uuid[], %(digests)s::bytea[], %(unknown)s::bytea[], %(ending)s::uuid[],
                   %(holds)s::uuid[], %(placing)s::uuid[], %(claim_digests)s::bytea[], %(claim_scopes)s::bytea[],
                   %(refs)s::text[], %(renewing)s::uuid[], true)::text
"""
WRITE = "SELECT ledger_apply(%s::json, %s::json, %s::json, %s::json, %s::json, %s::json)"
CLAIM = """
INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, expires_at)
VALUES (%s, %s, %s, %s, now() + interval '1 day')
ON CONFLICT (account_id, scope) DO UPDATE SET fingerprint = excluded.fingerprint, hold_id = excluded.hold_id,
    sealed = NULL, created_at = now(), expires_at = excluded.expires_at
"""
JOB = """
INSERT INTO media_jobs (id, account_id, kind, model, provider, state, credits_cost, deadline)
VALUES (%s, %s, 'image', 'm', 'p', 'queued', 40, now()) RETURNING epoch
"""
NEEDS = ("accounts", "digests", "unknown", "ending", "holds", "placing", "claim_digests", "claim_scopes", "refs")


def _needs(operation: Operation) -> dict[str, list[Any]]:
    needs: dict[str, list[Any]] = {name: [] for name in (*NEEDS, "renewing")}
    match operation:
        case Reserve(hold_id=hold_id, digest=digest, claim=claim):
            needs |= {"placing": [hold_id], "digests": [digest], "unknown": [digest]}
            if claim is not None:
                needs |= {"claim_digests": [digest], "claim_scopes": [claim.scope]}
        case Grant(account_id=account_id, ref=ref):
            needs |= {"accounts": [account_id], "refs": [ref]}
        case Renew(hold_id=hold_id):
            needs |= {"holds": [hold_id], "renewing": [hold_id]}
        case Settle() | Void() | Refund():
            hold_id, account_id = operation.hold_id, operation.account_id
            needs |= {"holds": [hold_id], "ending": [hold_id], "accounts": [account_id]}
    return needs


def _times(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return values | {name: datetime.fromisoformat(values[name]) for name in names if values[name]}


def _account(row: Sequence[Any]) -> Account:
    values = _times(dict(zip(ACCOUNT, row, strict=True)), "moved_at", "requests_tat", "tokens_tat")
    return Account(**values | {"id": UUID(values["id"])})


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None


def _key(row: Sequence[Any]) -> Key:
    values = _times(dict(zip(KEY, row, strict=True)), "requests_tat", "tokens_tat")
    used = Used(**{name: values[name] for name in USED})
    used.day, used.month = (_day(values[name]) for name in ("day", "month"))
    ids = UUID(values["id"]), UUID(values["account_id"])
    return Key(*ids, frozenset(values["scopes"]), values["dead"], Limits(**values["limits"]), used)


def _hold(row: Sequence[Any]) -> Hold:
    values = _times(dict(zip(HOLD, row, strict=True)), "lease_until", "created_at", "closed_at")
    ids = {name: UUID(values[name]) for name in ("id", "account_id", "key_id") if values[name]}
    assert values["state"] in {"open", "settled", "void"}
    closed_by = ClosedBy(values["closed_by"]) if values["closed_by"] else None
    prices = PRICES if values["prices"] else None
    return Hold(**values | ids | {"state": HoldState(values["state"]), "closed_by": closed_by, "prices": prices})


def _state(document: str) -> State:
    tables: dict[str, Any] = {name: rows or () for name, rows in orjson.loads(document).items()}
    accounts, keys = map(_account, tables["accounts"]), map(_key, tables["keys"])
    return State(
        now=datetime.fromisoformat(tables["now"]),
        accounts={account.id: account for account in accounts},
        keys={key.id: key for key in keys},
        secrets={bytes.fromhex(row[0]): Secret(UUID(row[1]), row[2]) for row in tables["secrets"]},
        claims={
            (UUID(row[0]), bytes.fromhex(row[1])): IdempotencyRecord(
                bytes.fromhex(row[2]), UUID(row[3]), base64.b64decode(row[4]) if row[4] else None
            )
            for row in tables["claims"]
        },
        holds={hold.id: hold for hold in map(_hold, tables["holds"])},
        cut=set(map(UUID, tables["cut"])),
        refs={ref: (UUID(account_id), amount) for ref, account_id, amount in tables["refs"]},
    )


def _only(row: Any, names: Sequence[str]) -> dict[str, Any]:
    values: Mapping[str, Any] = row if isinstance(row, dict) else {name: getattr(row, name) for name in names}
    return {name: value for name, value in values.items() if name in names}


def _rows(changes: Changes) -> list[str | None]:
    (_, written), *_ = statements(changes)
    names = {"placed": HOLD, "accounts": ACCOUNT, "usage": USAGE, "keys": ("id", *USED)}
    rows = []
    for what in ("placed", "changed", "accounts", "keys", "usage", "transactions"):
        listed = orjson.loads(written[what]) if written[what] else []
        listed = [_only(row, names.get(what, tuple(row))) for row in listed]
        rows.append(orjson.dumps(listed).decode() if listed else None)
    return rows


class OlderProcess:
    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def ask(self, operation: Operation) -> Result:
        async with self._connection.transaction():
            cursor = await self._connection.execute(READ, _needs(operation))
            row = await cursor.fetchone()
            assert row is not None
            (result,), changes = decide(_state(row[0]), [operation])
            if changes:
                await self._connection.execute(WRITE, _rows(changes))
            for (account_id, scope), claim in changes.claims.items():
                await self._connection.execute(CLAIM, [account_id, scope, claim.fingerprint, claim.hold_id])
        return result


@pytest_asyncio.fixture
async def older(app_url: str) -> AsyncIterator[OlderProcess]:
    async with await psycopg.AsyncConnection.connect(app_url, autocommit=True) as connection:
        yield OlderProcess(connection)


async def is_clean(database: Database) -> bool:
    async with database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report
    return report.clean


def claimed(operation: Reserve, name: bytes = b"once") -> Reserve:
    return replace(operation, claim=IdempotencyClaim(name.ljust(32), b"body".ljust(32)))


async def epochs(database_url: str, account_id: UUID) -> dict[str, set[int]]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        by_table = {}
        for table in ("holds", "usage", "usage_days", "idempotency"):
            query = f"SELECT DISTINCT epoch FROM {table} WHERE account_id = %s"
            by_table[table] = {row[0] for row in await (await connection.execute(query, [account_id])).fetchall()}
        return by_table


async def test_a_call_begins_and_ends_in_the_one_as_in_the_other(
    database: Database, database_url: str, ledger: LedgerWriter, older: OlderProcess
) -> None:
    customer = await open_account(database, ledger, 1000)
    first, second, third = [reserve(customer, 40) for _ in range(3)]
    assert isinstance(await older.ask(claimed(first)), Reserved)
    with pytest.raises(AlreadyRunning):
        await ledger.ask(claimed(reserve(customer, 40)))
    renewed = await older.ask(Renew(first.hold_id, 7))
    assert isinstance(renewed, Renewed)
    assert not renewed.cut
    closed = await older.ask(settle(customer, first.hold_id, 30))
    assert isinstance(closed, Closed)
    assert (closed.charged, await balance(database_url, customer)) == (30, (970, 0, 0))
    assert isinstance(await ledger.ask(claimed(reserve(customer, 40))), Replay)
    await older.ask(second)
    await older.ask(void(customer, second.hold_id))
    await older.ask(void(customer, uuid.uuid4()))
    await older.ask(third)
    await ledger.ask(settle(customer, third.hold_id, 10))
    fourth = reserve(customer, 40)
    await ledger.ask(fourth)
    await older.ask(settle(customer, fourth.hold_id, 10))
    assert await balance(database_url, customer) == (950, 0, 0)
    assert all(numbers == {1} for numbers in (await epochs(database_url, customer.account_id)).values())
    assert await is_clean(database)


async def test_a_purge_holds_for_a_process_that_knows_no_epochs(
    database: Database, database_url: str, app_url: str, ledger: LedgerWriter, older: OlderProcess
) -> None:
    customer = await open_account(database, ledger, 1000)
    pack, before, running = Grant(customer.account_id, 500, "pack"), reserve(customer, 40), reserve(customer, 40)
    await older.ask(pack)
    await older.ask(claimed(before))
    await older.ask(settle(customer, before.hold_id, 30))
    await older.ask(running)
    purge = await purging.begin(database, customer)
    renewed = await older.ask(Renew(running.hold_id, 7))
    assert isinstance(renewed, Renewed)
    assert renewed.cut
    await older.ask(settle(customer, running.hold_id, 7))
    assert (await epochs(database_url, customer.account_id))["usage"] == {1}
    after = reserve(customer, 40)
    assert isinstance(await older.ask(claimed(after)), Reserved)  # what the purge erases is not adopted
    await purging.roll_up(database, purge)
    assert isinstance(await older.ask(settle(customer, before.hold_id, 30)), HoldVoided)
    again = await older.ask(pack)
    assert again == Granted(1500 - 30 - MINIMUM_CHARGE - 40, repeated=True)
    await older.ask(settle(customer, after.hold_id, 20))
    assert isinstance(await ledger.ask(claimed(reserve(customer, 40))), Replay)
    assert await balance(database_url, customer) == (1500 - 30 - MINIMUM_CHARGE - 20, 0, 0)
    by_table = await epochs(database_url, customer.account_id)
    assert by_table["holds"] == {1, 2}
    assert by_table["usage"] == by_table["usage_days"] == by_table["idempotency"] == {2}
    await purging.complete(database, purge)
    assert await is_clean(database)
    async with await psycopg.AsyncConnection.connect(app_url) as connection:
        cursor = await connection.execute(JOB, [after.hold_id, customer.account_id])
        assert await cursor.fetchone() == (2,)


async def test_an_older_process_exceeds_no_familys_limits(
    database: Database, database_url: str, ledger: LedgerWriter, older: OlderProcess
) -> None:
    customer = await open_account(database, ledger, 1000)
    parent, (child, *_) = await family(database, customer.account_id, Limits(concurrent=1, credits_day=100))
    assert isinstance(await older.ask(reserve(child, 40)), RateLimited)
    placed = reserve(child, 40)
    await ledger.ask(placed)
    assert await counted(database_url, parent) == (1, 40)
    await older.ask(Renew(placed.hold_id, 7))
    await older.ask(settle(child, placed.hold_id, 30))
    assert await counted(database_url, parent) == (0, 30)
    assert await is_clean(database)
    await older.ask(Refund(placed.hold_id, customer.account_id))
    assert await counted(database_url, parent) == (0, 0)
    assert await balance(database_url, customer) == (1000, 0, 0)
    assert await is_clean(database)


@pytest.mark.parametrize(
    "narrowed",
    [
        ("models = '{other}'", RateLimited),
        ("strict = true", RateLimited),
        ("privacy = 'strict'", RateLimited),
        ("expires_at = now() - interval '1 second'", CallerUnknown),
    ],
)
async def test_an_older_process_gives_a_key_no_more_than_it_has(
    database: Database, database_url: str, ledger: LedgerWriter, older: OlderProcess, narrowed: tuple[str, type]
) -> None:
    change, error = narrowed
    customer = await open_account(database, ledger, 1000)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        query = f"UPDATE api_keys SET {change} WHERE account_id = %s"
        await connection.execute(query.encode(), [customer.account_id])
    assert isinstance(await older.ask(reserve(customer, 40)), error)
    assert await balance(database_url, customer) == (1000, 0, 0)


async def test_a_plan_that_has_ended_is_none_for_an_older_process(
    database: Database, database_url: str, ledger: LedgerWriter, older: OlderProcess
) -> None:
    customer = await open_account(database, ledger, 1000)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for until, refused in (("now() + interval '1 hour'", False), ("now() - interval '1 second'", True)):
            await connection.execute(
                f"UPDATE accounts SET plan_active = true, plan_until = {until} WHERE id = %s".encode(),
                [customer.account_id],
            )
            result = await older.ask(replace(reserve(customer, 40), pro_only=True))
            assert isinstance(result, Reserved) != refused

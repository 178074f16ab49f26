"""The ledger as it runs: client processes with writers of their own, over wires that fail."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from db.audit import audit
from db.engine import Database
from domain.operations import Operation
from tests.support import purging
from tests.support.doubles.faulty_wire import FaultyWire, Point
from tests.support.ledger.client import Client
from tests.support.ledger.result_codec import EncodedResult
from tests.support.ledger.world import ACCOUNTS, KEYS

Result = TypeVar("Result")
CLIENTS = 3
FACTS = {
    "accounts": "SELECT id, available, held, open_holds FROM accounts",
    "keys": "SELECT id, revoked_at IS NOT NULL, open_holds, day, day_credits, month_credits FROM api_keys",
    "holds": """SELECT id, account_id, key_id, state, amount, output_limit, relayed_output, charged, written_off,
                       refunded, max_credits, lease_until IS NOT NULL, closed_by FROM holds""",
    "refs": """SELECT ref, t.account_id, amount FROM transactions t
               JOIN lines l ON l.transaction_id = t.id AND l.book = 'available' WHERE ref IS NOT NULL""",
    "usage": "SELECT hold_id, input_tokens, output_tokens, credits, written_off FROM usage",
}
"""By the first column."""
PLACED_FACTS = {
    "claims": "SELECT account_id, scope, fingerprint, hold_id, sealed FROM idempotency",
    "books": """SELECT t.account_id, l.book, sum(l.amount)::bigint FROM transactions t
                JOIN lines l ON l.transaction_id = t.id GROUP BY 1, 2 HAVING sum(l.amount) <> 0""",
}
"""By the first two."""


class PostgresBank:
    in_order = False  # accounts take turns, and a renewal locks its hold alone

    def __init__(self, url: str, runner: asyncio.Runner, struck: Counter[str]) -> None:
        self._url, self._runner, self._struck = url, runner, struck
        self._stack = AsyncExitStack()
        self.wires: list[FaultyWire] = []
        self.clients: list[Client] = []
        self._run(self._open())

    def now(self) -> datetime:
        return datetime.now(UTC)

    def ask(self, operations: Sequence[Operation]) -> list[EncodedResult]:
        results = self._run(self.clients[0].ask(operations))
        return [one for one in results if one is not None]

    def at_once(self, batches: Sequence[Sequence[Operation]]) -> list[list[EncodedResult]]:
        results = self._run(self._ask_all(batches))
        return [[one for one in of if one is not None] for of in results]

    def at_once_with(
        self, fault: str, point: Point, batches: Sequence[Sequence[Operation]]
    ) -> tuple[list[list[EncodedResult | None]], list[EncodedResult | None]]:
        """What was heard while the first client's wire failed at that point, and what the first one is told again."""
        return self._run(self._ask_through(fault, point, batches))

    def expire(self, hold_id: UUID) -> None:
        self._run(self._write("UPDATE holds SET lease_until = clock_timestamp() WHERE id = %s", hold_id))

    def revoke(self, key_id: UUID) -> None:
        self._run(self._write("UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = %s", key_id))
        self._run(self._write("UPDATE api_key_secrets SET revoked_at = clock_timestamp() WHERE key_id = %s", key_id))

    def facts(self) -> dict[str, dict[Any, Any]]:
        return self._run(self._facts())

    def begin_purge(self, account: UUID) -> UUID:
        return self._run(self._begin_purge(account))

    def purge(self, step: str, purge_id: UUID) -> int | None:
        """One of the functions of a running purge."""
        return self._run(self._purge(step, purge_id))

    def complete_purge(self, purge_id: UUID) -> None:
        self._run(self._complete_purge(purge_id))

    def close(self) -> None:
        """The books are proven by the audit too."""
        try:
            self._run(self._proven())
        finally:
            self._run(self._stack.aclose())

    def _run(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(doing)

    async def _open(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            for account in ACCOUNTS:
                await connection.execute("INSERT INTO accounts (id) VALUES (%s)", [account])
                await connection.execute(
                    "INSERT INTO users (id, account_id, email) VALUES (gen_random_uuid(), %s, %s)",
                    [account, f"{account.hex}@example.test"],
                )
                await connection.execute(
                    "INSERT INTO data_keys (account_id, epoch, wrapped) VALUES (%s, 1, 'wrapped')", [account]
                )
            for key in KEYS:
                limits = Jsonb({name: limit for name, limit in asdict(key.limits).items() if limit is not None})
                await connection.execute(
                    "INSERT INTO api_keys (id, account_id, name, scopes, limits, ancestors)"
                    " VALUES (%s, %s, '', '{chat}', %s, %s)",
                    [key.id, key.account_id, limits, list(key.above)],
                )
                await connection.execute(
                    "INSERT INTO api_key_secrets (digest, key_id, masked) VALUES (%s, %s, '')", [key.digest, key.id]
                )
        self.wires = [await self._stack.enter_async_context(FaultyWire(self._url)) for _ in range(CLIENTS)]
        self.clients = [Client(wire.url) for wire in self.wires]
        self._stack.push_async_callback(self._end)

    async def _end(self) -> None:
        await asyncio.gather(*(client.end() for client in self.clients))

    async def _ask_all(self, batches: Sequence[Sequence[Operation]]) -> list[list[EncodedResult | None]]:
        pairs = zip(self.clients, batches, strict=False)
        return await asyncio.gather(*(client.ask(batch) for client, batch in pairs))

    async def _ask_through(
        self, fault: str, point: Point, batches: Sequence[Sequence[Operation]]
    ) -> tuple[list[list[EncodedResult | None]], list[EncodedResult | None]]:
        wire = self.wires[0]

        async def strike() -> bool:
            self._struck[fault] += 1
            return await getattr(self, f"_{fault}")(wire)  # type: ignore[no-any-return]

        wire.arm(point, strike)
        results = await self._ask_all(batches)
        wire.arm(None)
        if fault == "kill_client" and None in results[0]:
            self.clients[0] = Client(wire.url)
        return results, await self.clients[0].ask(batches[0])

    async def _kill_client(self, _: FaultyWire) -> bool:
        await self.clients[0].kill()
        return False

    async def _terminate_backend(self, wire: FaultyWire) -> bool:
        await self._write("SELECT pg_terminate_backend(%s, 5000)", wire.backend or 0)
        return True

    async def _kill_backend(self, wire: FaultyWire) -> bool:
        """PostgreSQL then ends all of its backends, and recovers from its log. It has begun to when this returns."""
        if wire.backend is not None:
            os.kill(wire.backend, signal.SIGKILL)
            with suppress(ProcessLookupError):
                while True:
                    os.kill(wire.backend, 0)
                    await asyncio.sleep(0.01)
        return True

    async def _lose_reply(self, _: FaultyWire) -> bool:
        return False

    async def _write(self, statement: str, value: Any) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(statement, [value])

    async def _facts(self) -> dict[str, dict[Any, Any]]:
        rows_: dict[str, dict[Any, Any]] = {}
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            for name, query in FACTS.items():
                rows = await (await connection.execute(query)).fetchall()
                rows_[name] = {row[0]: row[1:] for row in rows}
            for name, query in PLACED_FACTS.items():
                rows = await (await connection.execute(query)).fetchall()
                rows_[name] = {row[:2]: row[2:] if len(row) > 3 else row[2] for row in rows}
        return rows_

    async def _begin_purge(self, account: UUID) -> UUID:
        purge_id, new_key = uuid4(), "INSERT INTO data_keys (account_id, epoch, wrapped) VALUES (%s, %s, 'wrapped')"
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute("SELECT FROM accounts WHERE id = %s FOR UPDATE", [account])
            begun = await connection.execute("SELECT begin_purge(%s, %s, '', '', false)", [purge_id, account])
            await connection.execute(new_key, [account, *(await begun.fetchone() or ())])
        return purge_id

    async def _purge(self, step: str, purge_id: UUID) -> int | None:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            row = await (await connection.execute(f"SELECT {step}".encode(), [purge_id])).fetchone()
        assert row is not None
        return None if row[0] is None else int(row[0])

    async def _complete_purge(self, purge_id: UUID) -> None:
        database = Database.open(self._url)
        self._struck["purge"] += 1
        try:
            await purging.complete(database, purge_id)
        finally:
            await database.close()

    async def _proven(self) -> None:
        database = Database.open(self._url)
        try:
            async with database.connection() as connection:
                report = await audit(connection)
        finally:
            await database.close()
        # the model's leases are an hour long, so that none runs out by itself
        assert set(report.counts) <= {"hold_expired", "hold_lease_too_long"}, report.findings

"""The connection pool and the only place that commits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, LiteralString, Protocol, Self
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn
from sqlmodel.ext.asyncio.session import AsyncSession

from db import checkouts, connections, roles
from db.outage import Outage
from db.turns import Turns
from domain.errors import ServiceUnavailable

Session = AsyncSession
"""For code that passes a session on without using it."""
MAX_SILENCE_SECONDS = 6.0
"""How long it may take to get a connection, and for PostgreSQL to answer on it for the first time."""
_ENDING_SECONDS = 0.5
"""So much later a wait is cancelled that was for something else than a connection of the pool."""
OUTAGE_PAUSE_SECONDS = 5.0
SILENCE_PAUSE_SECONDS = 0.5
"""Between two looks for the end of a silence: until then all else fails at once."""
MAX_READ_SECONDS = 12.0
"""How long one statement may take. Its server ends it before that, unless the server is frozen."""
TURN_TIMEOUT_SECONDS = 10.0
"""How long a transaction waits for others of its account before it fails."""
DIALECT = "postgresql+psycopg://"
"""The URL has no address: SQLAlchemy reads one host only, so `connections` opens the connection."""
_SETTINGS = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "8s",  # a frozen process loses its locks before others time out
}


class Database:
    """Opens sessions. Functions of `db/` take one and never commit."""

    def __init__(
        self, engine: AsyncEngine, lent: checkouts.Lent, outage: Outage | None, *, pool: int, probes: bool = False
    ) -> None:
        """`lent`: the engine's connections. `probes`: ask the server also while it is known to be silent."""
        self._engine, self._lent = engine, lent
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._outage = outage
        self._size = pool
        self._probes = probes
        self._turns = Turns(max(1, pool - 2))

    @classmethod
    def open(cls, url: str, *, pool: int = 8, outage: Outage | None = None) -> Self:
        """Make the pool. It does not connect yet: the server may start later. Raises `DatabaseUrlInvalid`.

        Without an `outage` nobody learns from the log that the server is away: a command says so itself.
        """
        opening = connections.parameters(url, "yout", _SETTINGS)

        async def connect() -> AsyncConnection[Any]:
            connection = await connections.opened(opening)
            await connection.set_autocommit(False)
            return connection

        engine = create_async_engine(
            DIALECT,
            async_creator=connect,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=2,
            pool_use_lifo=True,  # the connection whose statements are prepared already
            hide_parameters=True,
        )
        lent = checkouts.watch(engine.sync_engine)
        if outage is not None:
            outage.on_silence(lambda: lent.end_silent(MAX_SILENCE_SECONDS / 2))
        return cls(engine, lent, outage, pool=pool)

    async def close(self) -> None:
        await self._engine.dispose()

    async def warm(self) -> None:
        """Open all connections of the pool, so that the first calls wait for none. An outage is left to them."""
        opening = [self._engine.connect() for _ in range(self._size)]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_SILENCE_SECONDS):
                    await asyncio.gather(*(each.start() for each in opening), return_exceptions=True)
        finally:
            for each in opening:
                if each.sync_connection is not None:  # it was opened, whatever became of the others
                    await each.close()

    @asynccontextmanager
    async def transaction(
        self, *, account: UUID | None = None, locked: bytes | None = None
    ) -> AsyncIterator[AsyncSession]:
        """Commit all of the block, or none of it if it raises. Make no network call inside.

        `account` is the account whose lock the block takes, or `locked` names another row. Transactions of one row run
        one after another and wait without a connection, so a row that is locked for long does not use up the pool.
        Raises `ServiceUnavailable` when PostgreSQL is unavailable.
        """
        async with AsyncExitStack() as stack:
            if (row := account or locked) is not None:
                try:
                    async with asyncio.timeout(TURN_TIMEOUT_SECONDS):
                        await stack.enter_async_context(self._turns.of(row))
                except TimeoutError:
                    raise ServiceUnavailable("This account is busy. Nothing was changed; try again.") from None
            yield await stack.enter_async_context(self._session(writes=True))

    @asynccontextmanager
    async def _session(self, *, writes: bool, **options: object) -> AsyncIterator[AsyncSession]:
        opened = AsyncSession(self._engine, expire_on_commit=False)
        async with self._unavailable(writes=writes), opened as session, session.begin():
            async with self._answering():
                await session.connection(execution_options=options)
            yield session

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[SqlConnection]:
        """Give a connection to code that manages its transaction itself."""
        opened = self._engine.connect()
        async with self._unavailable(writes=False), AsyncExitStack() as stack:
            async with self._answering():
                connection = await stack.enter_async_context(opened)
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Read what is committed, each statement by itself: none of them begins or ends a transaction.

        Nothing in the database keeps such a session from writing. Raises `RuntimeError` for a row that it changed.
        """
        opened = AsyncSession(self._reads, expire_on_commit=False, autoflush=False)
        async with self._unavailable(writes=False), opened as session:
            async with self._answering():
                await session.connection()
            yield session
            if session.new or session.dirty or session.deleted:
                raise RuntimeError("a row was changed in a session that reads alone")

    async def rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Read what is committed by one statement of the driver's: a session costs five times as much.

        Raises `ServiceUnavailable` when PostgreSQL is unavailable.
        """
        async with self._unavailable(writes=False), self._answering() as wait_for:
            with checkouts.trusting():
                lent = await greenlet_spawn(self._engine.sync_engine.pool.connect)
            wait_for(MAX_READ_SECONDS)
            driver = _psycopg(lent.driver_connection)
            try:
                await driver.set_autocommit(True)
                return await (await driver.execute(query, values)).fetchall()
            finally:
                try:
                    if driver.info.transaction_status is TransactionStatus.IDLE:
                        await driver.set_autocommit(False)
                        await greenlet_spawn(lent.close)
                finally:
                    if lent.is_valid:  # it ended, was left in the middle, or its return was cancelled
                        driver.pgconn.finish()  # then there is nothing to wait for, which another one could cancel
                        await greenlet_spawn(lent.invalidate)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Open a read-only transaction in which every query sees the same moment."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._session(writes=False, **options) as session:
            yield session

    def _meant(self, error: Exception) -> Exception:
        """Return the driver's error for what SQLAlchemy, or an end of a connection because of a silence, says."""
        if isinstance(error, PoolTimeout):
            return connections.PoolExhausted()
        return _silence() if self._lent.ended and connections.is_unavailable(error) else error

    async def watch_outage(self) -> None:
        """Try the database now and then: without work, nothing else would notice that it is away, or back.

        A first failure is not reported, only a second one right after it: this process may have been late itself, as
        when it starts.
        """
        unreported = Database(self._engine, self._lent, None, pool=1)
        probing = Database(self._engine, self._lent, self._outage, pool=1, probes=True)
        while True:
            silent = self._outage is not None and self._outage.silent
            await asyncio.sleep(SILENCE_PAUSE_SECONDS if silent else OUTAGE_PAUSE_SECONDS)
            lasts = self._outage is not None and self._outage.lasts
            if lasts or not await unreported._answers():
                await probing._answers()

    async def _answers(self) -> bool:
        with suppress(ServiceUnavailable):
            await self.check_writable()
            if self._outage is not None and self._outage.partial:
                await self._check_statements()
                self._outage.proven()
            return True
        return False

    async def check_writable(self) -> None:
        """Raises `ServiceUnavailable` when PostgreSQL is unavailable or read-only."""
        async with self.connection() as connection, self._answering():
            writable = (await connection.execute(text(connections.WRITABLE))).scalar_one()
        if not writable:
            await self._engine.dispose()
            reported = self._outage is not None and self._outage.seen(psycopg.errors.ReadOnlySqlTransaction())
            raise ServiceUnavailable("The database is read-only for the moment. Try again.", reported=reported)

    async def _check_statements(self) -> None:
        """Raises `ServiceUnavailable` while the role lacks rights, or the server's disk is full."""
        async with self.connection() as connection, self._answering():
            driver = _psycopg((await connection.get_raw_connection()).driver_connection)
            if await roles.lacking(driver):
                raise psycopg.errors.InsufficientPrivilege
            await connections.check_room(driver)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[Callable[[float], None]]:
        """Give up a server that takes the connection and does nothing: its own timeouts stand still with it.

        What is yielded sets another number of seconds, from now on.
        """
        loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()

        def wait_for(seconds: float) -> None:
            for timer in timers:
                timer.cancel()
            timers[:] = [loop.call_later(seconds, self._lent.end_silent, MAX_SILENCE_SECONDS / 2)]
            limit.reschedule(loop.time() + seconds + _ENDING_SECONDS)

        try:
            async with asyncio.timeout(None) as limit:
                wait_for(MAX_SILENCE_SECONDS)
                yield wait_for
        except TimeoutError:
            raise _silence() from None
        finally:
            timers[0].cancel()

    @asynccontextmanager
    async def _unavailable(self, *, writes: bool) -> AsyncIterator[None]:
        """Turn errors of an unavailable database into `ServiceUnavailable`.

        A server that has become read-only keeps its connections: they are closed, since the next one may reach another.
        """
        if self._outage is not None and self._outage.silent and not self._probes:
            raise ServiceUnavailable(_MESSAGE, reported=True)
        try:
            yield
        except Exception as error:
            error = self._meant(error)
            if not (connections.is_unavailable(error) or connections.is_refused(error)):
                raise
            if connections.is_read_only(error):
                if not writes:
                    raise
                await self._engine.dispose()
            reported = self._outage is not None and self._outage.seen(error)
            raise ServiceUnavailable(_MESSAGE, reported=reported) from None  # its text may quote the request
        if self._outage is not None:
            self._outage.over()


def _silence() -> psycopg.Error:
    return psycopg.errors.ConnectionTimeout("timeout")


_MESSAGE = "The database is away for the moment. Try again."


class Reader(Protocol):
    """A database, or a session: what it reads is of one moment with the rest of its transaction."""

    async def rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Read by one statement of the driver's."""


@dataclass(frozen=True, slots=True)
class InSession:
    session: AsyncSession = field(repr=False)

    async def rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return await (await (await raw(self.session)).execute(query, values)).fetchall()


async def raw(session: AsyncSession) -> AsyncConnection[Any]:
    """Return the session's psycopg connection, inside its transaction, for pipelines and arrays."""
    return _psycopg((await (await session.connection()).get_raw_connection()).driver_connection)


def _psycopg(driver: object) -> AsyncConnection[Any]:
    if not isinstance(driver, AsyncConnection):
        raise TypeError("not a psycopg connection")
    return driver

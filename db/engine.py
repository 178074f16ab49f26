"""The connection pool and the only place that commits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import ServiceUnavailable

Session = AsyncSession
"""For those who pass one on without using it."""

STATEMENT_TIMEOUT = "10s"
_UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)


def driver_url(url: str) -> str:
    """`postgresql://…` as SQLAlchemy names its psycopg dialect."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


class Database:
    """Hands out sessions. `db/` functions take one and never commit."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, *, pool: int = 8) -> Self:
        """Does not connect yet: the server may come up later."""
        options = f"-c statement_timeout={STATEMENT_TIMEOUT} -c idle_in_transaction_session_timeout=30s"
        return cls(
            create_async_engine(
                driver_url(url),
                pool_size=pool,
                max_overflow=0,
                pool_timeout=2,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args={"options": options, "connect_timeout": 3, "tcp_user_timeout": 5000},
            )
        )

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """All of the block or none of it. No network call inside. Raises `ServiceUnavailable` when Postgres is away."""
        opened = AsyncSession(self._engine, expire_on_commit=False)
        async with _unavailable(), opened as session, session.begin():
            yield session

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[SqlConnection]:
        """A connection of its own, for what manages its transaction itself."""
        async with _unavailable(), self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that cannot write."""
        async with self.transaction() as session:
            await session.connection(execution_options={"postgresql_readonly": True})
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A transaction that cannot write, and in which all is of one moment."""
        async with self.transaction() as session:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            await session.connection(execution_options=options)
            yield session


@asynccontextmanager
async def _unavailable() -> AsyncIterator[None]:
    try:
        yield
    except _UNAVAILABLE:  # its text may carry values of the request: not chained
        raise ServiceUnavailable("The database is away for the moment. Try again.") from None


async def raw(session: AsyncSession) -> AsyncConnection[Any]:
    """The session's own psycopg connection, inside its transaction: for pipelines and arrays."""
    connection = await (await session.connection()).get_raw_connection()
    driver = connection.driver_connection
    if not isinstance(driver, AsyncConnection):
        raise TypeError("not a psycopg connection")
    return driver

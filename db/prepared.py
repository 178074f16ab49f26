"""Runs prepared statements on a connection of the ledger, several of them in one round trip.

It calls libpq directly: the driver's cursors take more time than PostgreSQL takes for a small statement.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from struct import pack
from typing import Any, LiteralString, Self
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, pq

from domain.records import record

_PARAMETER = re.compile(r"%\((\w+)\)s::(\w+(?:\[\])?)")
_UUID, _BYTEA, _TEXT, _INTERVAL, _BIGINT = 2950, 17, 25, 1186, 20
"""Ids of types, which are the same in every PostgreSQL."""
_TEXT_FORMAT, _BINARY_FORMAT = 0, 1
_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


@record
class Statement:
    """A statement with the driver's parameters, `%(name)s::type`. A prepared connection knows it by its name."""

    name: str
    sql: LiteralString

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The names and types of the parameters, in order."""
        return _PARAMETER.findall(self.sql)

    @property
    def numbered(self) -> str:
        """The statement with PostgreSQL's own parameters: `$1::type`."""
        numbers = iter(range(1, len(self.parameters) + 1))
        return _PARAMETER.sub(lambda match: f"${next(numbers)}::{match[2]}", self.sql)


BEGIN, COMMIT, ROLLBACK = Statement("begin", "BEGIN"), Statement("commit", "COMMIT"), Statement("rollback", "ROLLBACK")
Values = Mapping[str, Any]


def _array(type_id: int, encode: Callable[[Any], bytes]) -> Callable[[Sequence[Any]], bytes]:
    """Encode a list in PostgreSQL's binary format: dimensions, flags, type, length, first index, then the elements."""

    def encoded(values: Sequence[Any]) -> bytes:
        if not values:
            return pack(">iii", 0, 0, type_id)
        elements = [encode(value) for value in values]
        head = pack(">iiiii", 1, 0, type_id, len(elements), 1)
        return head + b"".join([part for element in elements for part in (pack(">i", len(element)), element)])

    return encoded


def _uuid(value: UUID) -> bytes:
    return value.int.to_bytes(16, "big")


def _interval(value: timedelta) -> bytes:
    return pack(">qii", value // timedelta(microseconds=1), 0, 0)


def _bigint(value: int) -> bytes:
    return pack(">q", value)


_ENCODINGS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "uuid[]": (_BINARY_FORMAT, _array(_UUID, _uuid)),
    "bytea[]": (_BINARY_FORMAT, _array(_BYTEA, bytes)),
    "text[]": (_BINARY_FORMAT, _array(_TEXT, str.encode)),
    "interval[]": (_BINARY_FORMAT, _array(_INTERVAL, _interval)),
    "bigint[]": (_BINARY_FORMAT, _array(_BIGINT, _bigint)),
    "boolean": (_BINARY_FORMAT, lambda value: b"\1" if value else b"\0"),
    "json": (_TEXT_FORMAT, str.encode),
}


class _Prepared:
    """What is sent to run a statement."""

    def __init__(self, statement: Statement) -> None:
        self.name = statement.name.encode()
        self._fields = [(name, *_ENCODINGS[kind]) for name, kind in statement.parameters]
        self._formats = [form for _, form, _ in self._fields]

    def send(self, pgconn: Any, values: Values) -> None:
        encoded = [None if values[name] is None else encode(values[name]) for name, _, encode in self._fields]
        pgconn.send_query_prepared(self.name, encoded or None, self._formats or None)


class PreparedConnection:
    """Takes over a psycopg connection. Raises psycopg's errors; after one, call `rollback` or `close`."""

    def __init__(self, connection: AsyncConnection[Any], statements: Sequence[Statement]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._watching = False
        self._prepared = {statement.name: _Prepared(statement) for statement in statements}
        self._answered: asyncio.Future[None] | None = None
        self._results: list[Any] = []
        self._error: psycopg.Error | None = None

    @classmethod
    async def over(cls, connection: AsyncConnection[Any], statements: Sequence[Statement]) -> Self:
        prepared = cls(connection, statements)
        prepared._pgconn.enter_pipeline_mode()
        prepared._loop.add_reader(prepared._socket, prepared._read)
        prepared._watching = True
        try:
            for statement in statements:
                prepared._pgconn.send_prepare(statement.name.encode(), statement.numbered.encode())
            await prepared._synced()
        except BaseException:
            await prepared.close()
            raise
        return prepared

    @property
    def closed(self) -> bool:
        return bool(self._connection.closed)

    async def run(self, *steps: tuple[Statement, Values]) -> list[Any]:
        """Run the steps in one round trip, and return their results. After a step that fails, none is run."""
        for statement, values in steps:
            self._prepared[statement.name].send(self._pgconn, values)
        await self._synced()
        return self._results

    async def rollback(self) -> None:
        if self._pgconn.transaction_status != pq.TransactionStatus.IDLE:
            await self.run((ROLLBACK, {}))

    async def close(self) -> None:
        self._release_socket()
        with contextlib.suppress(psycopg.Error):
            await self._connection.close()

    def drop(self) -> None:
        """Close without a message to the server, which does not answer."""
        self._release_socket()
        self._pgconn.finish()

    def _release_socket(self) -> None:
        """Stop watching the socket, once, before `finish`: afterwards its number may be that of another socket."""
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)

    async def _synced(self) -> None:
        self._results, self._error = [], None
        self._answered = self._loop.create_future()
        self._pgconn.pipeline_sync()
        self._flush()
        try:
            await self._answered
        finally:
            self._answered = None
        if self._error is not None:
            raise self._error

    def _flush(self) -> None:
        """Send what is queued. What the socket does not take at once is sent when it is writable."""
        if self._pgconn.flush() and self._watching:
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._lost(error)

    def _read(self) -> None:
        try:
            self._pgconn.consume_input()
            while self._answered is not None and not self._answered.done() and not self._pgconn.is_busy():
                self._take(self._pgconn.get_result())
        except psycopg.Error as error:
            self._lost(error)
        else:
            if self._answered is None and self._pgconn.status == pq.ConnStatus.BAD:
                self._lost(psycopg.OperationalError("the connection was closed"))

    def _take(self, result: Any) -> None:
        if result is None:  # the end of the results of a step
            if self._pgconn.status == pq.ConnStatus.BAD:
                self._lost(psycopg.OperationalError("the connection was closed"))
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            assert self._answered is not None  # noqa: S101  # `_read` takes results for it alone
            self._answered.set_result(None)
        elif result.status in _DONE:
            self._results.append(result)
        elif result.status == pq.ExecStatus.FATAL_ERROR and self._error is None:
            self._error = psycopg.errors.error_from_result(result)

    def _lost(self, error: psycopg.Error) -> None:
        self._release_socket()
        self._pgconn.finish()
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(self._error or error)

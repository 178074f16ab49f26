"""Asks a connection of the pool whether it lives before it is lent, unless that is known. A silence ends all of them.

SQLAlchemy's own `pool_pre_ping` asks each time, which takes as long as a small statement.
"""

import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

TRUSTED_SECONDS = 0.25
"""So long after its last answer a server is not tried."""
_ENDED_SECONDS = 1.0
"""Within so long, whoever waited has noticed that connections were ended."""
_RETURNED = "returned"
_TRUSTING: ContextVar[bool] = ContextVar("trusting", default=False)


@contextmanager
def trusting() -> Iterator[None]:
    """Do not ask a connection that answered a moment ago, and has not ended. The reader bounds the time of its read."""
    before = _TRUSTING.set(True)
    try:
        yield
    finally:
        _TRUSTING.reset(before)


class Lent:
    """The connections of a pool that are in use."""

    def __init__(self) -> None:
        self._drivers = WeakKeyDictionary[Any, psycopg.AsyncConnection[Any]]()
        """By SQLAlchemy's record of each."""
        self._answered_at = self._ended_at = float("-inf")

    def begin(self, record: Any, driver: psycopg.AsyncConnection[Any]) -> None:
        self._drivers[record] = driver

    def end(self, record: Any) -> None:
        driver = self._drivers.pop(record, None)
        if driver is not None and not driver.closed:
            self._answered_at = time.monotonic()

    def end_silent(self, seconds: float) -> None:
        """End those that wait for an answer, if none has come back for so long: their server is silent.

        A cancelled wait would ask the server to cancel the statement, and wait for that first. What was sent may still
        be done, as if the connection had been lost. An answer that nobody has read yet is one: this process is late.
        """
        now = time.monotonic()
        waiting = [each for each in self._drivers.values() if each.info.transaction_status is TransactionStatus.ACTIVE]
        if not all(_is_quiet(driver) for driver in waiting):
            self._answered_at = now
        if now < self._answered_at + seconds:
            return
        for driver in waiting:
            self._ended_at = now
            with suppress(OSError), socket.socket(fileno=os.dup(driver.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    @property
    def ended(self) -> bool:
        """Whether connections were ended just now, because of a silence."""
        return time.monotonic() < self._ended_at + _ENDED_SECONDS


def watch(engine: Engine) -> Lent:
    """Ask connections of the pool. One that is dead is replaced, with all others that were opened before."""
    in_use = Lent()

    def returned(_: object, record: Any) -> None:
        record.info[_RETURNED] = time.monotonic()
        in_use.end(record)

    def lent(connection: Any, record: Any, _: object) -> None:
        in_use.begin(record, connection.driver_connection)
        last = record.info.get(_RETURNED)
        if last is None:  # it is new
            return
        if _TRUSTING.get() and time.monotonic() < last + TRUSTED_SECONDS and _is_quiet(connection.driver_connection):
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error:
            if in_use.ended:
                raise psycopg.errors.ConnectionTimeout("timeout") from None
            if not connection.driver_connection.closed:
                raise
            raise InvalidatePoolError from None

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", lent)
    return in_use


def _is_quiet(driver: Any) -> bool:
    """Tell whether nothing has come since the last answer: a server that ends a connection says so, or closes it."""
    arrived = select.poll()
    arrived.register(driver.fileno(), select.POLLIN)
    return not arrived.poll(0)

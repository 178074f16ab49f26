"""Asks a connection of the pool whether it lives before it is lent, unless that is known.

SQLAlchemy's own `pool_pre_ping` asks each time, which takes as long as a small statement.
"""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

TRUSTED_SECONDS = 0.25
"""So long after its last answer a server is not tried."""
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


def watch(engine: Engine) -> None:
    """Ask connections of the pool. One that is dead is replaced, with all others that were opened before."""

    def returned(_: object, record: Any) -> None:
        record.info[_RETURNED] = time.monotonic()

    def lent(connection: Any, record: Any, _: object) -> None:
        last = record.info.get(_RETURNED)
        if last is None:  # it is new
            return
        if _TRUSTING.get() and time.monotonic() < last + TRUSTED_SECONDS and _is_quiet(connection.driver_connection):
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error:
            if not connection.driver_connection.closed:
                raise
            raise InvalidatePoolError from None

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", lent)


def _is_quiet(driver: Any) -> bool:
    """Tell whether nothing has come since the last answer: a server that ends a connection says so, or closes it."""
    arrived = select.poll()
    arrived.register(driver.fileno(), select.POLLIN)
    return not arrived.poll(0)

"""Finds connections of a pool that their server has closed, before they are used.

SQLAlchemy's own way is to send a statement before each use. A page uses a connection several times within
milliseconds: one that answered a moment ago is looked at without sending anything.
"""

import select
import time
from typing import Any

from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncEngine

MAX_TRUSTED_SECONDS = 0.1
"""How long after its last use a connection is used again without an answer: a server that is frozen is silent too."""
_RETURNED = "returned"


def install(engine: AsyncEngine) -> None:
    """Have the pool replace connections that are closed. The engine's `pool_pre_ping` is left off."""
    dialect = engine.dialect

    def returned(_: Any, record: Any) -> None:
        record.info[_RETURNED] = time.monotonic()

    def used(connection: Any, record: Any, _: Any) -> None:
        at = record.info.get(_RETURNED)
        if at is None or (time.monotonic() - at < MAX_TRUSTED_SECONDS and _is_silent(record.driver_connection)):
            return  # a new one has no time
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            if not dialect.is_disconnect(error, connection, None):
                raise
            raise exc.InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", used)


def _is_silent(connection: Any) -> bool:
    """Tell whether the server has sent nothing since the last answer: it says that it ends, or closes the socket."""
    if connection.closed:
        return False
    polled = select.poll()
    polled.register(connection.fileno(), select.POLLIN)
    return not polled.poll(0)

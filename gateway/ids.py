"""New identifiers, from this process's clock and entropy."""

import os
import time
from uuid import UUID

from domain import ids


def new_id() -> UUID:
    """A version 7 UUID. Such ids sort by creation time."""
    return ids.uuid7(time.time_ns() // 1_000_000, os.urandom(10))

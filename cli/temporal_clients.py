"""Connects a command to Temporal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.client import Client

    from settings import Settings

THREADS_END = 0.3
"""Seconds that threads of Temporal's client need: an interpreter that ends before may crash on Python 3.11."""


@asynccontextmanager
async def opened(settings: "Settings", *, lazy: bool = False) -> AsyncIterator[tuple["Client", "Client"]]:
    """Give a client of the jobs' namespace, and one of that of maintenance.

    With `lazy`, Temporal may be away; else its absence raises.
    """
    from domain.secrets import Purpose
    from temporal.client import Address, connect, converter
    from temporal.codec import Keyring

    address = Address(*settings.temporal_server)
    conversion = converter(Keyring.of(settings.secrets.derive(Purpose.TEMPORAL_PAYLOADS)))
    try:
        jobs = await connect(address, conversion, lazy=lazy)
        upkeep = replace(address, namespace=settings.maintenance_namespace)
        yield jobs, await connect(upkeep, conversion, lazy=lazy)
    finally:
        await asyncio.sleep(THREADS_END)

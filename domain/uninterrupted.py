"""Work that a cancellation does not interrupt, in workflows as in activities."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Complete the work, however often this task is cancelled meanwhile.

    A shield alone is not enough: it protects the work, but the await ends at once, and the task with half of it done.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()

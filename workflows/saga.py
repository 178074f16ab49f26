"""What is undone when a workflow ends before its work is complete, and how to get anything done past a cancellation."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

T = TypeVar("T")
Undo = Callable[[BaseException], Awaitable[None]]
"""Gets what ended the workflow: a failure, or a cancellation."""

COMPENSATION_FAILED = "CompensationFailed"


class Saga:
    """Undoes, newest first, unless it was declared complete. Register an undo before its step, not after."""

    def __init__(self) -> None:
        self._undos: list[Undo] = []

    def on_failure(self, undo: Undo) -> None:
        self._undos.append(undo)

    def complete(self) -> None:
        self._undos.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # Only what ends the workflow: any other exception fails the workflow task, which Temporal retries, and undoing
        # then would undo a run that goes on.
        if isinstance(error, asyncio.CancelledError | FailureError):
            await uninterrupted(self._undo_all(error))

    async def _undo_all(self, error: BaseException) -> None:
        failed = 0
        for undo in reversed(self._undos):
            try:
                await undo(error)
            except FailureError:  # one that gives up does not keep the others from being done
                workflow.logger.error("an undo has failed for good", exc_info=True)
                failed += 1
        if failed:
            raise ApplicationError(
                f"{failed} undo(s) have failed for good.", type=COMPENSATION_FAILED, non_retryable=True
            )


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end, however often the workflow is cancelled meanwhile.

    A shield alone is not enough: it saves the task, but the await ends at once and the workflow closes with half of
    it done.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()

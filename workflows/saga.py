"""Compensations for a workflow that ends before its work is complete."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from domain.uninterrupted import uninterrupted

Undo = Callable[[BaseException], Awaitable[None]]
"""Its argument is the failure or cancellation that ended the workflow."""

COMPENSATION_FAILED = "CompensationFailed"


class Saga:
    """Runs the registered compensations, newest first, unless `complete` was called.

    Register a compensation before its step, not after.
    """

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
        # Only for what ends the workflow. Any other exception fails the workflow task, which Temporal retries:
        # compensations would then undo a run that continues.
        if isinstance(error, asyncio.CancelledError | FailureError):
            await uninterrupted(self._undo_all(error))

    async def _undo_all(self, error: BaseException) -> None:
        failed = 0
        for undo in reversed(self._undos):
            try:
                await undo(error)
            except FailureError:  # one that fails does not stop the others
                workflow.logger.error("an undo has failed for good", exc_info=True)
                failed += 1
        if failed:
            raise ApplicationError(
                f"{failed} undo(s) have failed for good.", type=COMPENSATION_FAILED, non_retryable=True
            )

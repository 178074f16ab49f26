"""A process that freezes in the middle of a ledger's batch: it has locked what it needs, and does nothing more."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import db.ledger_lane
from db.writer import LedgerWriter
from domain.decisions import decide
from domain.operations import Operation
from domain.results import Result


class FrozenWriter(threading.Thread):
    """In a thread, whose event loop stands still from the moment the locks are taken until it thaws."""

    def __init__(self, url: str, operations: Sequence[Operation]) -> None:
        super().__init__(daemon=True)
        self.frozen = threading.Event()
        self.thaw = threading.Event()
        self.results: Sequence[Result] = ()
        self._url = url
        self._operations = operations

    def run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        async with LedgerWriter(self._url, application="a-frozen-process") as ledger:
            self.results = await asyncio.gather(*map(ledger.submit, self._operations))

    def decide(self, *arguments: Any) -> Any:
        if threading.current_thread() is self and not self.frozen.is_set():
            self.frozen.set()
            self.thaw.wait()
        return decide(*arguments)


@contextlib.contextmanager
def frozen_in_a_batch(url: str, operations: Sequence[Operation]) -> Iterator[FrozenWriter]:
    """Frozen with the locks of these operations; thawed and ended afterwards."""
    writer = FrozenWriter(url, operations)
    with mock.patch.object(db.ledger_lane, "decide", writer.decide):
        writer.start()
        writer.frozen.wait()
        try:
            yield writer
        finally:
            writer.thaw.set()
            writer.join()

"""Writes a stream whose model is known with its first output: when the first model cannot answer, another one does."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from domain.errors import GatewayError
from gateway.wire import Bill, StreamWriter
from providers.base import Delta


class LateWriter:
    """Implements `gateway.wire.StreamWriter`: makes the wire's own writer when there is something to write."""

    KEEP_ALIVE: ClassVar[bytes] = b""
    """A wire's own is used in its place."""

    def __init__(self, make: Callable[[], StreamWriter]) -> None:
        self._make = make
        self._writer: StreamWriter | None = None

    def _now(self) -> StreamWriter:
        if self._writer is None:
            self._writer = self._make()
        return self._writer

    def delta(self, delta: Delta) -> bytes:
        return self._now().delta(delta)

    def held(self, credits: int) -> bytes:
        return self._now().held(credits)

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        return self._now().end(last, bill)

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        return self._now().fail(error, bill)

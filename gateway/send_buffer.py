"""A bounded mailbox between a stream's pump and its client.

What waits goes out in one write; a slow client slows the pump.
"""

import asyncio

MAX_WAITING_PARTS = 64
MAX_STALL_SECONDS = 60.0
"""Seconds that a client may take nothing of what waits; then it counts as gone."""


class SendBuffer:
    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._arrived: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._ended = False
        self._abandoned = False

    async def put(self, part: bytes) -> None:
        """Waits while the client is behind. What nobody will read any more is dropped.

        Raises TimeoutError when the client does not read at all.
        """
        if self._abandoned:
            return
        self._parts.append(part)
        _wake(self._arrived)
        while len(self._parts) >= MAX_WAITING_PARTS and not self._abandoned:
            self._room = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(MAX_STALL_SECONDS):
                await self._room

    def end(self) -> None:
        """Nothing comes after what waits now."""
        self._ended = True
        _wake(self._arrived)

    def abandon(self) -> None:
        """The client has gone."""
        self._abandoned = True
        self._parts.clear()
        _wake(self._room)

    async def take(self, seconds: float) -> bytes | None:
        """All that waits; empty after so many seconds of silence; None at the end."""
        if not self._parts and not self._ended:
            loop = asyncio.get_running_loop()
            self._arrived = loop.create_future()
            alarm = loop.call_later(seconds, _wake, self._arrived)  # an asyncio.timeout costs three times as much
            try:
                await self._arrived
            finally:
                alarm.cancel()
            if not self._parts and not self._ended:
                return b""
        if not self._parts:
            return None
        waiting, self._parts = self._parts, []
        _wake(self._room)
        return waiting[0] if len(waiting) == 1 else b"".join(waiting)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)

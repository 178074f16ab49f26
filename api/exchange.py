"""One request and its answer, independent of ASGI, for the chat endpoints.

In our server, `api.direct.DirectExchange` uses the client's connection. `AsgiExchange` works on any ASGI server.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope, Send

Headers = Sequence[tuple[bytes, bytes]]


class StreamClient(Protocol):
    """Is told of changes of the connection while a stream is written."""

    def gone(self) -> None:
        """The client has disconnected: nothing that is written reaches it."""

    def writable(self) -> None:
        """The client has read what was written: more may be written."""


class Exchange(Protocol):
    @property
    def scope(self) -> Scope:
        """The scope, as in ASGI."""

    @property
    def begun(self) -> bool:
        """True once the head of the answer was written."""

    @property
    def receive(self) -> Receive:
        """Gives the next part of the body, as in ASGI, within the edge's bounds."""

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Write a whole answer."""

    def listen(self, client: StreamClient) -> None:
        """Call `client` from now on; at once, if the connection is already closed."""

    def begin(self, headers: Headers) -> None:
        """Write the head of a stream, with status 200."""

    def write(self, data: bytes) -> bool:
        """Write a part of a stream. False if the client is behind: `writable` is called when it has caught up."""

    def unsent(self) -> int:
        """Return the number of bytes that wait for the client."""

    async def end(self) -> None:
        """End the stream."""

    def abort(self) -> None:
        """Close the connection, and drop what is unsent."""


class AsgiExchange:
    """Implements `Exchange` over ASGI. A task sends what was written."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.begun = False
        self.receive, self._send = receive, send
        self._messages: list[Message] = []
        self._client: StreamClient | None = None
        self._sending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        self._unwatch()
        self.begun = True
        await self._send(_start(status, [*headers, (b"content-length", b"%d" % len(body))]))
        await self._send(_part(body, more=False))

    def listen(self, client: StreamClient) -> None:
        self._client = client
        self._watching = asyncio.create_task(self._watch(client))

    def begin(self, headers: Headers) -> None:
        self.begun = True
        self._messages.append(_start(200, headers))

    def write(self, data: bytes) -> bool:
        self._messages.append(_part(data, more=True))
        if self._sending is None:
            self._sending = asyncio.create_task(self._carry())
        return False

    def unsent(self) -> int:
        return sum(len(message.get("body", b"")) for message in self._messages)

    async def end(self) -> None:
        self._unwatch()
        if self._sending is not None:
            await asyncio.wait([self._sending])
        await self._send(_part(b"", more=False))

    def abort(self) -> None:
        """Stop sending. The application returns before the answer is complete, so the server closes the connection."""
        self._unwatch()
        if self._sending is not None:
            self._sending.cancel()

    async def _carry(self) -> None:
        try:
            while self._messages:
                await self._send(self._messages.pop(0))
        except OSError:  # the connection is gone
            if self._client is not None:
                self._client.gone()
        finally:
            self._sending = None
        if self._client is not None:
            self._client.writable()

    async def _watch(self, client: StreamClient) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        client.gone()

    def _unwatch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()


def _start(status: int, headers: Headers) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}

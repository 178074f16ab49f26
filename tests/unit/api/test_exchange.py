"""A stream over any ASGI server: all of it, in order, and its client told what becomes of the connection."""

import asyncio
from typing import Any

from starlette.types import Message

from api.exchange import AsgiExchange
from tests.support.stack import eventually


class Server:
    """What an ASGI server gives an application."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.drained = asyncio.Event()
        self.left = asyncio.Event()
        self.broken = False
        self.exchange = AsgiExchange({"type": "http"}, self.receive, self.send)

    async def send(self, message: Any) -> None:
        await self.drained.wait()
        if self.broken:
            raise OSError
        self.messages.append(message)

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


class Client:
    def __init__(self) -> None:
        self.left = self.room = 0

    def gone(self) -> None:
        self.left += 1

    def writable(self) -> None:
        self.room += 1

    async def has_room(self) -> bool:
        return self.room > 0

    async def has_left(self) -> bool:
        return self.left > 0


async def test_a_stream_waits_for_its_client_and_is_complete() -> None:
    server, client = Server(), Client()
    server.exchange.listen(client)
    server.exchange.begin([(b"a", b"b")])
    assert not server.exchange.write(b"one ")
    assert not server.exchange.write(b"two")
    assert server.exchange.unsent() == 7
    server.drained.set()
    assert await eventually(client.has_room)
    assert server.exchange.unsent() == 0
    await server.exchange.end()
    assert server.text == b"one two"
    assert [message.get("more_body") for message in server.messages] == [None, True, True, False]


async def test_who_leaves_is_noticed_while_waiting_and_while_writing() -> None:
    waiting, writing, client = Server(), Server(), Client()
    waiting.exchange.listen(client)
    waiting.left.set()
    assert await eventually(client.has_left)
    writing.broken = True
    writing.drained.set()
    other = Client()
    writing.exchange.listen(other)
    writing.exchange.begin([])
    writing.exchange.write(b"lost")
    assert await eventually(other.has_left)
    writing.exchange.abort()


async def test_a_whole_answer_says_how_long_it_is() -> None:
    server = Server()
    server.drained.set()
    await server.exchange.reply(201, [(b"a", b"b")], b"whole")
    start, part = server.messages
    assert (start["status"], start["headers"]) == (201, [(b"a", b"b"), (b"content-length", b"5")])
    assert (part["body"], part["more_body"]) == (b"whole", False)

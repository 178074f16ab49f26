"""Who waits for a connection to a provider: accounts in turn, by the order in which they are served."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from providers.http1 import Http1Transport
from providers.waiting_calls import WaitingCalls
from tests.support.doubles.raw_server import serving
from tests.support.doubles.upstream_calls import PATIENT, Collector, keep_answering, request


@dataclass
class Waiter:
    owner: Hashable
    name: str
    over: bool = False


def taken(waiting: WaitingCalls[Waiter]) -> list[str]:
    names = []
    while call := waiting.take():
        names.append(call.name)
    return names


def test_one_accounts_many_calls_are_not_in_front_of_another() -> None:
    waiting: WaitingCalls[Waiter] = WaitingCalls()
    for call in [Waiter("ann", f"a{number}") for number in range(4)] + [Waiter("bob", "b0"), Waiter("cy", "c0")]:
        waiting.add(call)
    waiting.add(Waiter("bob", "b1"))
    assert taken(waiting) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]
    assert not waiting


def test_who_has_just_had_a_turn_comes_behind_who_arrives() -> None:
    waiting: WaitingCalls[Waiter] = WaitingCalls()
    for number in range(3):
        waiting.add(Waiter("ann", f"a{number}"))
    first = waiting.take()
    assert first is not None
    waiting.add(Waiter("bob", "b0"))
    assert [first.name, *taken(waiting)] == ["a0", "a1", "b0", "a2"]


def test_who_lost_a_connection_comes_first_and_who_left_is_passed_over() -> None:
    waiting: WaitingCalls[Waiter] = WaitingCalls()
    gone = Waiter("ann", "gone")
    for call in (gone, Waiter("ann", "a0"), Waiter("bob", "b0")):
        waiting.add(call)
    waiting.add_first(Waiter("bob", "lost"))
    gone.over = True
    assert taken(waiting) == ["lost", "b0", "a0"]


async def test_accounts_take_turns_for_the_connections_of_a_provider() -> None:
    transport = Http1Transport(max_connections=1)
    async with serving(keep_answering) as server:
        calls = [(b"a%d" % number, "ann") for number in range(6)] + [(b"b0", "bob"), (b"c0", "cy")]
        sinks = []
        for body, owner in calls:
            sink = Collector()
            transport.open(request(server, body), PATIENT, sink, owner)
            sinks.append(sink)
        await asyncio.gather(*(sink.ended.wait() for sink in sinks))
        order = [head[-2:] for head in server.requests]
    await transport.close()
    assert order == [b"a0", b"a1", b"b0", b"c0", b"a2", b"a3", b"a4", b"a5"]

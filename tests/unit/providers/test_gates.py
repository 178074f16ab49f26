"""The limits of one provider: who is sent at once, who waits, whose turn it is, and who waits no longer."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from domain.errors import GatewayError, UpstreamBusy
from providers import gates
from providers.base import Headers, Sink, Timeouts, UpstreamCall, UpstreamRequest
from providers.gates import Gate, GatedTransport

LONG = timedelta(seconds=30)
TIMEOUTS = Timeouts(LONG, LONG, LONG, LONG)


class FakeCall:
    def __init__(self, owner: Hashable, sink: Sink) -> None:
        self.owner, self.sink = owner, sink
        self.paused = self.closed = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeTransport:
    calls: list[FakeCall] = field(default_factory=list)

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        self.calls.append(FakeCall(owner, sink))
        return self.calls[-1]

    async def close(self) -> None:
        """Nothing is open here."""

    @property
    def owners(self) -> str:
        return "".join(str(call.owner) for call in self.calls)


class Answer:
    def __init__(self) -> None:
        self.parts: list[object] = []

    def head(self, status: int, headers: Headers) -> None:
        self.parts.append(status)

    def data(self, data: bytes) -> None:
        self.parts.append(data)

    def end(self) -> None:
        self.parts.append("end")

    def fail(self, error: GatewayError) -> None:
        self.parts.append(error)


class Scene:
    def __init__(self, most: int | None = None, per_minute: int | None = None, max_wait: timedelta = LONG) -> None:
        self.inner, self.gate = FakeTransport(), Gate()
        self.gate.set_limits(most, per_minute, max_wait)
        self.transport = GatedTransport(self.inner, self.gate)

    def open(self, owner: str) -> tuple[UpstreamCall, Answer]:
        answer = Answer()
        return self.transport.open(UpstreamRequest("http://p", {}, b""), TIMEOUTS, answer, owner), answer


async def test_accounts_take_turns() -> None:
    scene = Scene(1)
    for owner in "aaabc":
        scene.open(owner)
    for number in range(4):
        assert len(scene.inner.calls) == number + 1
        scene.inner.calls[number].sink.end()
    assert scene.inner.owners == "aabca"
    scene.inner.calls[-1].sink.end()
    assert (scene.gate.running, scene.gate.waiting) == (0, 0)


async def test_one_account_leaves_places_for_others() -> None:
    scene = Scene(8)
    scene.open("b")[0].close()
    for _ in range(20):
        scene.open("a")
    assert scene.inner.owners == "b" + 6 * "a"
    for _ in range(3):
        scene.open("b")
    assert scene.inner.owners == "b" + 6 * "a" + "bb"
    scene.inner.calls[-1].sink.end()
    assert scene.inner.owners == "b" + 6 * "a" + "bbb"
    for call in scene.inner.calls[1:4]:
        call.sink.end()
    assert (scene.gate.running, scene.inner.owners[-1]) == (6, "a")


async def test_an_account_alone_has_all_places() -> None:
    scene = Scene(8)
    for _ in range(20):
        scene.open("a")
    assert len(scene.inner.calls) == 8


@pytest.mark.parametrize("ending", ["end", "fail", "close"])
async def test_a_call_leaves_once_however_it_ends(ending: str) -> None:
    scene = Scene(1)
    call, answer = scene.open("a")
    sink = scene.inner.calls[0].sink
    sink.head(200, {})
    sink.data(b"x")
    if ending == "end":
        sink.end()
    elif ending == "fail":
        sink.fail(UpstreamBusy())
    call.close()
    call.close()
    assert scene.gate.running == 0
    assert answer.parts[:2] == [200, b"x"]


async def test_who_waits_too_long_is_told_and_what_waits_can_be_closed() -> None:
    scene = Scene(1, max_wait=timedelta(milliseconds=20))
    scene.open("a")
    _, late = scene.open("b")
    closed, silent = scene.open("c")
    closed.close()
    await asyncio.sleep(0.05)
    assert [type(part) for part in late.parts] == [UpstreamBusy]
    assert silent.parts == []
    assert scene.gate.waiting == 0
    scene.inner.calls[0].sink.end()
    assert scene.inner.owners == "a"


async def test_a_pause_holds_before_the_call_begins() -> None:
    scene = Scene(1)
    scene.open("a")
    call, _ = scene.open("b")
    call.pause()
    scene.inner.calls[0].sink.end()
    assert scene.inner.calls[1].paused
    call.resume()
    assert not scene.inner.calls[1].paused


async def test_a_minute_has_so_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    scene = Scene(per_minute=1200)
    for _ in range(103):
        scene.open("a")
    for calls in (101, 102, 103):
        assert len(scene.inner.calls) == calls
        now[0] += 0.051
        for _ in range(2):  # timers come after what is ready
            await asyncio.sleep(0)


async def test_the_queue_is_bounded_for_each_account() -> None:
    scene = Scene(1)
    answers = [scene.open("a")[1] for _ in range(gates.MAX_WAITING_OF_OWNER + 2)]
    _, other = scene.open("b")
    await asyncio.sleep(0)
    assert [type(part) for part in answers[-1].parts] == [UpstreamBusy]
    assert not answers[-2].parts
    assert not other.parts


async def test_calls_that_left_the_queue_are_not_kept() -> None:
    scene = Scene(1)
    scene.open("a")
    for _ in range(20 * gates.MIN_DEAD):
        call, _ = scene.open("b")
        call.close()
    assert len(list(scene.gate._waiting)) <= 2 * gates.MIN_DEAD

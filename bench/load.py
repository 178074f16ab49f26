"""The load generator, in a process of its own: reads a `Plan` from standard input, prints an `Outcome`.

Raw HTTP/1.1 over kept-alive connections, so that little of what it measures is its own work.
"""

import asyncio
import sys
from dataclasses import asdict
from functools import partial
from time import perf_counter
from typing import Any, cast

import orjson
import uvloop

from bench.plan import Outcome, Plan, Spread
from bench.upstream import content_length

TOPICS = (
    *("the weather in Oslo", "group commit", "a red bicycle", "Sägezähne", "東京の夜", "leases and clocks"),
    *("an inventory of apples", "why fsync matters", "the second law", "double entry"),
)
MAX_COMPLAINTS = 10
COUNTER = b"%010d"


def requests(plan: Plan) -> list[tuple[bytes, bytes]]:
    """Requests of several lengths, each around a counter that makes every prompt another one."""
    pairs = []
    for number, topic in enumerate(TOPICS):
        prompt = f"Question @@@@@@@@@@: what is there to say about {topic}? " + "Please elaborate. " * (number % 4)
        messages = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": prompt}]
        body: dict[str, Any] = {"model": plan.model, "messages": messages, "max_tokens": plan.max_tokens}
        if plan.stream:
            body |= {"stream": True}
        raw = orjson.dumps(body)
        more = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{plan.port}\r\n"
            f"authorization: Bearer {plan.token}\r\ncontent-type: application/json\r\n"
            f"{more}content-length: {len(raw)}\r\n\r\n"
        )
        before, after = (head.encode() + raw).split(b"@@@@@@@@@@")
        pairs.append((before, after))
    return pairs


class Run:
    """What all connections share."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests = requests(plan)
        self.begun = self.open = self.max_at_once = self.errors = self.chunks = 0
        self.latencies: list[float] = []
        self.first_bytes: list[float] = []
        self.gaps: list[float] = []
        self.complaints: list[str] = []
        self.deadline = perf_counter() + plan.seconds

    def next_request(self) -> bytes | None:
        if self.begun >= self.plan.calls or perf_counter() >= self.deadline:
            return None
        before, after = self.requests[self.begun % len(self.requests)]
        self.begun += 1
        self.open += 1
        self.max_at_once = max(self.max_at_once, self.open)
        return before + COUNTER % self.begun + after

    def done(self, began: float) -> None:
        self.open -= 1
        self.latencies.append(perf_counter() - began)

    def failed(self, complaint: str) -> None:
        self.open -= 1
        self.errors += 1
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(complaint)

    def outcome(self, seconds: float) -> Outcome:
        return Outcome(
            calls=len(self.latencies),
            errors=self.errors,
            seconds=round(seconds, 3),
            latency=Spread.of(self.latencies),
            first_byte=Spread.of(self.first_bytes),
            gap=Spread.of(self.gaps),
            chunks=self.chunks,
            max_at_once=self.max_at_once,
            complaints=self.complaints,
        )


class Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again."""

    def __init__(self, run: Run, finished: asyncio.Future[None]) -> None:
        self._run, self._finished = run, finished
        self._transport: asyncio.Transport | None = None
        self._left = run.plan.calls_each
        self._asking = False
        self._began = self._last = 0.0
        self._head = b""
        self._body = b""
        self._tail = b""
        self._whole = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asking:
            self._run.failed(f"connection lost: {exc or 'closed'}")
        if not self._finished.done():
            self._finished.set_result(None)

    def _ask(self) -> None:
        assert self._transport is not None  # noqa: S101  # asked after it was made
        self._asking, self._head, self._body, self._tail, self._whole = False, b"", b"", b"", False
        request = self._run.next_request() if self._left else None
        if request is None:
            self._transport.close()
            return
        self._left -= 1
        self._asking, self._began, self._last = True, perf_counter(), 0.0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._head:
            self._body += data
            end = self._body.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head, data, self._body = self._body[:end], self._body[end + 4 :], b""
        if self._run.plan.stream and b" 200 " in self._head[:16]:
            self._stream(data)
        else:
            self._plain(data)

    def _plain(self, data: bytes) -> None:
        self._body += data
        if len(self._body) < content_length(self._head):
            return
        if b" 200 " in self._head[:16]:
            self._run.done(self._began)
        else:
            self._run.failed((self._head.split(b"\r\n", 1)[0] + b" " + self._body[:200]).decode(errors="replace"))
        self._ask()

    def _stream(self, data: bytes) -> None:
        """Counts events; a stream that is whole says [DONE] before its last, empty chunk."""
        run, seen = self._run, self._tail + data
        events = seen.count(b"data: ")
        if events:
            now = perf_counter()
            if self._last:
                run.gaps.append(now - self._last)
            else:
                run.first_bytes.append(now - self._began)
            self._last = now
            run.chunks += events
        self._whole = self._whole or b"[DONE]" in seen
        self._tail = seen[-5:]
        if self._tail != b"0\r\n\r\n":
            return
        if self._whole:
            run.done(self._began)
        else:
            run.failed("stream without [DONE]: " + seen[-300:].decode(errors="replace"))
        self._ask()


async def drive(plan: Plan) -> Outcome:
    loop = asyncio.get_running_loop()
    run = Run(plan)
    began = perf_counter()
    pause = plan.ramp / plan.connections
    endings = []
    for _ in range(plan.connections):
        finished: asyncio.Future[None] = loop.create_future()
        endings.append(finished)
        try:
            await loop.create_connection(partial(Connection, run, finished), "127.0.0.1", plan.port)
        except OSError as refused:
            run.open += 1
            run.failed(f"not connected: {refused.strerror}")
            finished.set_result(None)
        if pause:
            await asyncio.sleep(max(0.0, began + pause * len(endings) - perf_counter()))
    await asyncio.gather(*endings)
    return run.outcome(perf_counter() - began)


def main() -> None:
    plan = Plan(**orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.write(orjson.dumps(asdict(uvloop.run(drive(plan)))).decode())


if __name__ == "__main__":
    main()

"""Carries one stream from its provider to its client's outbox, and ends it with the right money.

A task of its own, never the response generator: a client that leaves cannot cancel the settlement. "Done" goes out
only after the charge has committed: chunks with a finish reason are held back until then.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum
from typing import Any

import orjson
import structlog

from api import errors
from api.wire import openai_chat as wire
from domain import usage
from domain.catalog import Capability, Route
from domain.errors import GatewayError, ServiceUnavailable, UpstreamError, UpstreamTimeout
from domain.ids import chat_id
from domain.ledger import Closed
from domain.pricing import Usage
from gateway.idempotency import MAX_REPLAY_BYTES
from gateway.pulled_assembly import Assembly
from gateway.pulled_calls import Call, Calls, text_of
from gateway.send_buffer import SendBuffer
from providers.base import ChatChunk

log = structlog.get_logger(__name__)


class _Ending(StrEnum):
    FINISHED = "finished"
    LEFT = "left"
    SPENT = "spent"
    """The credits ran out: the stream was cut at what is held."""


class StreamRelay:
    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls = calls
        self._call = call
        self._held_back: list[dict[str, Any]] = []
        self._opening: list[dict[str, Any]] = []
        """Chunks that say nothing yet: until something is said, another route may still answer."""
        self._accepted = False
        self._report: object = None
        self._assembly = Assembly() if call.presented else None
        self._reading = False
        self._left = False
        self._stopped = False
        self._drain: asyncio.TimerHandle | None = None
        self._lost: GatewayError | None = None
        self._settling = False
        self._route: Route | None = None
        self._grows = False
        self._task: asyncio.Task[None] | None = None
        self.outbox = SendBuffer()
        self.refusal: GatewayError | None = None
        """Set instead of any output when the call failed before the first chunk."""
        self.produced = False

    def start(self) -> None:
        self._call.stop = self.lose
        self._calls.keep(self._run(), self.stop)

    def leave(self) -> None:
        """The client has gone, or this server is stopping. Stop the provider where that stops the bill."""
        if self._left:
            return
        self._left = True
        self._call.abandoned = bool(self._unended())
        self.outbox.abandon()
        if self._reading:
            self._read_on()

    def _read_on(self) -> None:
        """For nobody: only what can be replayed, and what would be billed all the same."""
        kept = self._assembly is not None
        bills_on = self._route is not None and Capability.ABORT_STOPS_BILLING not in self._route.capabilities
        if kept or bills_on:
            self._drain = self._calls.drains.begin(self._stop_reading, replayed=kept)
        if self._drain is None:
            self._stop_reading()

    def _end_drain(self) -> None:
        if self._drain is not None:
            self._calls.drains.end(self._drain)
            self._drain = None

    def stop(self) -> None:
        """This server stops: its client, if it is still there, is told; nothing is read on for one that has left."""
        if self._left:
            self._stop_reading()
        else:
            self.lose(ServiceUnavailable("This server is stopping. What was delivered is charged."))

    def lose(self, why: GatewayError) -> None:
        """The hold is not this call's any more: end the stream with an error."""
        self._lost = self._lost or why
        self._stop_reading()

    def _stop_reading(self) -> None:
        if not self._reading or self._task is None:
            return
        if self._task is asyncio.current_task():  # a cancellation could outlast the reading, and hit the settlement
            self._stopped = True
        else:
            self._task.cancel()

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._finish(await self._read())
        except GatewayError as failure:
            await self._fail(failure)
        except Exception as fault:
            log.error("stream broke", fault=type(fault).__name__)
            await self._fail(GatewayError("Something went wrong here."))
        finally:
            self.outbox.end()

    async def _read(self) -> _Ending:
        """Relay until the provider is done, or the client has gone and that ends the bill."""
        self._reading = not self._left
        if self._left:
            return _Ending.LEFT
        try:
            async with aclosing(self._chunks()) as chunks:
                async for chunk in chunks:
                    if not await self._relay(chunk.body):
                        return _Ending.SPENT
                    if self._stopped:
                        break
                else:
                    return _Ending.FINISHED
        except asyncio.CancelledError:
            if not self._left and self._lost is None:
                raise
            assert self._task is not None  # noqa: S101  # set before reading
            self._task.uncancel()
            if self._lost is not None and not self._left:
                raise self._lost from None
        finally:
            self._reading = False
            self._end_drain()
        return _Ending.LEFT if self._unended() else _Ending.FINISHED

    async def _chunks(self) -> AsyncGenerator[ChatChunk, None]:
        """The first route that gives a chunk; after one there is no other."""
        routes = self._call.model.routes
        for last, route in ((index == len(routes) - 1, route) for index, route in enumerate(routes)):
            self._route = self._call.route = route
            self._grows = self._call.extends_on(route)
            provider = self._calls.provider(route.provider.name)
            try:
                async with aclosing(provider.stream(self._call.upstream(route))) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except UpstreamError as failure:
                if self.produced or last or self._left or not failure.retryable:
                    raise
                self._forget()

    def _forget(self) -> None:
        """What a route began to say, and did not go on with."""
        self._opening.clear()
        self._accepted, self._report = False, None
        self._assembly = Assembly() if self._call.presented else None

    async def _relay(self, chunk: dict[str, Any]) -> bool:
        """False when what is held does not pay for this chunk, and the balance neither: it is not relayed."""
        call = self._call
        self._accepted = True
        if (reported := chunk.get("usage")) is not None:
            self._report = usage.kept(self._report, reported, call.bounds)
        choices = chunk.get("choices")
        if not choices:
            return True
        if text := text_of(chunk):
            if not await self._is_covered(text):
                return False
            call.uncounted.append(text)
        sent = wire.relayed(chunk) | self._chunk(choices) | ({"usage": None} if call.request.include_usage else {})
        self._assemble(sent, text)
        await self._pass_on(sent, speaks=bool(text))
        return True

    async def _pass_on(self, chunk: dict[str, Any], *, speaks: bool) -> None:
        finishes = wire.finishes(chunk["choices"])
        if not (self.produced or speaks or finishes):
            self._opening.append(chunk)
            return
        if not self.produced:
            self.produced = True
            for opening in self._opening:
                await self._put(wire.event(opening))
        if finishes:
            self._held_back.append(chunk)
        else:
            await self._put(wire.event(chunk))

    def _assemble(self, chunk: dict[str, Any], text: str) -> None:
        if self._assembly is not None:
            self._assembly.add(chunk, text)
            if self._assembly.size > MAX_REPLAY_BYTES:
                self._assembly = None
                if self._drain is not None:  # nothing to replay any more
                    self._end_drain()
                    self._read_on()

    async def _is_covered(self, text: str) -> bool:
        if self._grows:
            return await self._calls.cover(self._call, text)
        return not self._calls.runs_away(self._call, text)

    async def _put(self, part: bytes) -> None:
        try:
            await self.outbox.put(part)
        except TimeoutError:  # its client does not read
            self.leave()

    async def _finish(self, ending: _Ending) -> None:
        billed = self._calls.billed(self._call, self._report, cut=ending is not _Ending.FINISHED)
        if ending is _Ending.LEFT and not self._accepted:  # before its provider took it on
            await self._calls.void(self._call)
            return
        finished = ending is not _Ending.LEFT
        told = wire.usage_object(billed, self._report)
        answer = None
        if self._assembly is not None and finished:
            whole = {"object": "chat.completion", "usage": told}
            answer = orjson.dumps(self._chunk(self._assembly.choices) | whole)
        self._settling = True
        closed = await self._calls.settle(self._call, billed, minimum=finished, answer=answer)
        self._end_choices("length" if ending is _Ending.SPENT else "stop")
        if not self._call.request.include_usage:
            self._held_back[-1]["yout"] = yout(closed)
        for chunk in self._held_back:
            await self._put(wire.event(chunk))
        if self._call.request.include_usage:
            await self._put(wire.event(self._chunk([]) | {"usage": told, "yout": yout(closed)}))
        await self._put(wire.DONE)

    def _end_choices(self, reason: str) -> None:
        """A finish reason for each choice that has none: the credits ended, or the provider did not say one."""
        if missing := self._unended():
            self._held_back.append(self._chunk([{"index": n, "delta": {}, "finish_reason": reason} for n in missing]))

    def _unended(self) -> list[int]:
        """The choices that have not said that they ended."""
        closing = [choice for chunk in self._held_back for choice in chunk["choices"] if choice.get("finish_reason")]
        ended = {choice.get("index", 0) for choice in closing}
        return [n for n in range(self._call.request.choices) if n not in ended]

    async def _fail(self, failure: GatewayError) -> None:
        """Settle first, then say so: one chunk with the error, the billed usage and what it cost. No [DONE]."""
        if self._settling:  # asked for once: whether it happened is for the ledger to say, not for us to guess
            charge = f"GET /api/billing/charges/{chat_id(self._call.hold_id)}/ tells what it cost."
            self.refusal = ServiceUnavailable(f"The ledger is away; what was delivered may be charged. {charge}")
            await self._put(wire.event(self._failed(self.refusal)))
            return
        billed = self._calls.billed(self._call, None if self._unended() else self._report)
        try:
            if not self.produced:
                closed = await self._calls.void(self._call)
                billed = Usage(0, 0, billed.source)
            else:
                closed = await self._calls.settle(self._call, billed, minimum=False)
        except GatewayError as unsettled:
            self.refusal = unsettled
            await self._put(wire.event(self._failed(unsettled)))
            return
        if self.produced and isinstance(failure, UpstreamError) and not isinstance(failure, UpstreamTimeout):
            failure = UpstreamError("The provider broke off. What was delivered is charged, without the minimum.")
        self.refusal = failure
        money = {"usage": wire.usage_object(billed, None), "yout": yout(closed)}
        await self._put(wire.event(self._failed(failure) | money))

    def _failed(self, failure: GatewayError) -> dict[str, Any]:
        return self._chunk([{"index": 0, "delta": {}, "finish_reason": "error"}]) | errors.envelope(failure)

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        call = self._call
        return {
            "id": chat_id(call.hold_id),
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": call.model.id,
            "choices": choices,
        }


def yout(closed: Closed) -> dict[str, int]:
    return {"credits_charged": closed.charged, "balance": closed.available}

"""What the gateway asks of an upstream. Each provider kind implements one or both of these Protocols."""

from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from domain.errors import GatewayError
from domain.media import MediaRequest
from domain.pricing import Usage
from domain.records import record


class Stage(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@record
class Progress:
    """Where a submitted job stands at the provider."""

    stage: Stage
    percent: int | None = None
    failure: str | None = None
    """One of our own error codes when `stage` is FAILED; the provider's text stays in the adapter."""


@record
class OutputFile:
    """One finished file at the provider, ready to be read once."""

    content_type: str
    extension: str
    chunks: AsyncIterator[bytes]
    width: int | None = None
    height: int | None = None
    duration: float | None = None


class MediaProvider(Protocol):
    """A provider of media jobs. Raises `domain.errors.Upstream*` only; its own text never leaves the adapter."""

    @property
    def find_is_complete(self) -> bool:
        """Whether `find` knows every submission that was accepted: only then is one in doubt made again."""

    async def submit(self, request: MediaRequest, reference: str) -> str:
        """Start the work and return the provider's id of it. Not idempotent unless the provider says so."""

    async def find(self, reference: str) -> str | None:
        """The id of work that was submitted under `reference`; None when there is none (or it cannot be told)."""

    async def poll(self, provider_job_id: str) -> Progress: ...

    def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        """The finished files, in order."""

    async def cancel(self, provider_job_id: str) -> Progress:
        """Ask to stop, and tell what became of it: the provider's truth decides about the money."""

    async def discard(self, provider_job_id: str) -> None:
        """Forget output at the provider, once copied or given up. Safe to do twice, safe to do late."""


@record
class NativeRequest:
    """A request as its client wrote it, for an adapter whose vendor speaks the client's wire."""

    wire: str
    """The vendor's wire, such as `anthropic`. An adapter of another one ignores it."""
    body: dict[str, Any] = field(repr=False)


@record
class ChatCall:
    """One chat request to one route. `body` is OpenAI's shape, the gateway's lingua franca, already cleaned."""

    model: str
    """The provider's own name of the model."""
    body: dict[str, Any]
    output_limit: int
    """Tokens per choice that the hold pays for: what goes upstream as the limit."""
    capabilities: frozenset[str] = frozenset()
    passes: frozenset[str] = frozenset()
    """Fields of the body that the catalog lets through beside the adapter's own list. `*`: all of them."""
    stream: bool = False
    choices: int = 1
    native: NativeRequest | None = None
    """To be sent in place of `body` by an adapter of its wire: with the same limit, and as few fields."""


@record
class Timeouts:
    """Of one upstream call. Each one that passes is an `UpstreamTimeout`."""

    connect: timedelta
    first_byte: timedelta
    """From the request's last byte to the answer's first."""
    idle: timedelta
    """Between two parts of a streamed answer."""
    total: timedelta


@record
class UpstreamRequest:
    """One HTTP request to a provider, complete but for what the transport adds (`Host`, length, `User-Agent`)."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"
    dropped: tuple[str, ...] = ()
    """Fields of the caller's body that this provider is not sent, and that nobody here has acted on."""


Headers = Mapping[str, str]
"""Of an upstream answer: names in lower case."""


@record
class Accepted:
    """The provider has taken the call on: from here on it bills. Comes once, before anything else."""


@record
class Delta:
    """A part of the answer."""

    chunk: dict[str, Any]
    """OpenAI's chunk, complete: `choices` with `index` and `delta`, indexes and ids of tool calls; no `usage`."""
    text: str = ""
    """All text that it carries, reasoning and tool arguments included: what is counted, and held for."""
    finished: tuple[int, ...] = ()
    """The choices that end with it."""
    native: bytes | None = None
    """The vendor's own event, when `ChatCall.native` was sent. One that ends a choice carries no text."""


@record
class Report:
    """What the provider says that the call has used so far: cumulative. Parts are inside their whole, always."""

    usage: Usage


@record
class Done:
    """The provider said that it is done. What comes after it is not read."""


ProviderEvent = Accepted | Delta | Report | Done


@record
class WholeAnswer:
    """An answer that was not streamed."""

    body: dict[str, Any]
    """OpenAI's `chat.completion`, complete: `choices` with `index`, `message`, `finish_reason`; no `usage`."""
    text: str
    """All text that it carries: what is counted when `usage` is None."""
    usage: Usage | None
    """None: the provider reported nothing that can be believed."""
    native: dict[str, Any] | None = None
    """The vendor's own answer, when `ChatCall.native` was sent."""


class StreamDecoder(Protocol):
    """Turns one streamed answer's bytes into events. The same events however the bytes are cut.

    Each method raises `UpstreamError`, or what else `ChatAdapter.error` may tell, for a stream that is broken or in
    which the provider reports a failure: while its events are read, after those that came before the fault. So read
    them in a `for` inside the `try`, each one at once.
    """

    def begin(self, headers: Headers) -> Iterable[ProviderEvent]:
        """After a head with status 200. `Accepted` when the head alone shows that the provider took the call on."""

    def feed(self, data: bytes) -> Iterable[ProviderEvent]: ...

    def eof(self) -> Iterable[ProviderEvent]:
        """What the bytes left unfinished, then `Done`. Raises `UpstreamError` when the answer was cut."""


class ChatAdapter(Protocol):
    """A provider's wire, as pure functions: no socket, no clock, no task. No vendor text in what it raises."""

    def request(self, call: ChatCall) -> UpstreamRequest:
        """Raises `RequestInvalid` that names what this provider cannot take."""

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        """Of a body with status 200. Raises `UpstreamError` when it is no answer."""

    def decoder(self, call: ChatCall) -> StreamDecoder: ...

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        """What a status other than 200 means, in our words. `body` may be cut after 64 KiB."""


class Sink(Protocol):
    """Takes one upstream answer, in the turn of the loop in which its bytes arrive. Its methods never raise."""

    def head(self, status: int, headers: Headers) -> None: ...

    def data(self, data: bytes) -> None: ...

    def end(self) -> None:
        """The body is complete. Nothing comes after it."""

    def fail(self, error: GatewayError) -> None:
        """`UpstreamError` or `UpstreamTimeout`. Nothing comes after it."""


class UpstreamCall(Protocol):
    """One upstream call under way."""

    def pause(self) -> None:
        """Read no more from the provider until `resume`."""

    def resume(self) -> None: ...

    def close(self) -> None:
        """End it: the socket is closed unless the answer was complete. The sink hears nothing more. Safe to repeat."""


class Transport(Protocol):
    """Sockets, pools, timeouts and bounds for every adapter."""

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        """Start the call and return at once; what becomes of it goes to `sink`.

        Where calls wait for a connection, their owners (accounts) take turns.
        """

    async def close(self) -> None: ...


@record
class ChatUpstream:
    """One provider of chat, ready to be called."""

    adapter: ChatAdapter
    transport: Transport
    timeouts: Timeouts

"""The Protocols of providers: `ChatAdapter`, `EmbeddingAdapter`, `MediaProvider`. Each kind has one or more."""

from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from domain.errors import GatewayError
from domain.media import MediaInput, MediaRequest
from domain.meters import DEFAULT_SEARCHES
from domain.pricing import Usage
from domain.records import record
from providers.submit_lease import NoLease, SubmitLease


class Stage(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@record
class Progress:
    """The state of a submitted job at the provider."""

    stage: Stage
    percent: int | None = None
    failure: str | None = None
    """One of our own error codes when `stage` is FAILED; the provider's text stays in the adapter."""
    queued: bool = False
    """The provider has the job and has not begun with it."""
    unstoppable: bool = False
    """In an answer to `cancel`: the provider goes on all the same, and bills what it makes."""


@record
class OutputFile:
    """One finished file at the provider. `chunks` can be read once."""

    content_type: str
    extension: str
    chunks: AsyncIterator[bytes]
    width: int | None = None
    height: int | None = None
    duration: float | None = None


@record
class MediaSubmission:
    """A job to submit."""

    request: MediaRequest
    reference: str
    """Ours, the same for each attempt: sent where the vendor takes one. It says nothing about the caller."""
    inputs: tuple[MediaInput, ...] = ()
    lease: SubmitLease = field(default=NoLease(), repr=False)


@record
class Submitted:
    """The provider has accepted a job."""

    provider_job_id: str
    """What the adapter needs to poll, fetch and cancel. Unique per job; no secret and no text of the caller."""
    files: AsyncIterator[OutputFile] | None = None
    """The output, if it came with the answer. It is read once, at once, and is all that the provider makes."""


class MediaProvider(Protocol):
    """A provider of media jobs. Its errors are `domain.errors.Upstream*` or their subclasses, without a vendor's text.

    The error of `submit` decides whether the job may be submitted again. Certainly not accepted:
    `UpstreamBusy`, `UpstreamRefused`, and an error whose `not_accepted` is true. Any other is a doubt.
    """

    @property
    def find_is_complete(self) -> bool:
        """Whether `find` knows every accepted submission. Only then is a submission in doubt made again.

        `submit` then renews `MediaSubmission.lease` and requires it: of two attempts at the same time one submits.
        """

    async def submit(self, submission: MediaSubmission) -> Submitted:
        """Start the work. Not idempotent unless the provider is."""

    async def find(self, reference: str) -> str | None:
        """Return the id of work that was submitted under `reference`, or None if there is none or it is not known."""

    async def poll(self, provider_job_id: str) -> Progress: ...

    def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        """Yield the finished files in order. Fewer than were ordered: only those are charged."""

    async def cancel(self, provider_job_id: str) -> Progress:
        """Ask the provider to stop, and return the state that it reports: that decides whether the job is charged.

        An adapter that cannot cancel returns what `poll` does, `unstoppable`.
        """

    async def discard(self, provider_job_id: str) -> None:
        """Delete the output at the provider, after it was copied or given up. Idempotent, also when called late."""


@record
class NativeRequest:
    """A request as its client wrote it, for an adapter whose vendor speaks the client's wire.

    What is about the caller, and what is for this server only, is not in it.
    """

    wire: str
    """The vendor's wire, such as `anthropic`. An adapter of another wire ignores the request."""
    body: dict[str, Any] = field(repr=False)


@record
class ChatCall:
    """One chat request to one route. `body` is a validated request in OpenAI's shape, which the gateway uses inside."""

    model: str
    """The provider's name for the model."""
    body: dict[str, Any] = field(repr=False)
    output_limit: int
    """Tokens per choice that the hold pays for. The adapter sends it upstream as the limit."""
    capabilities: frozenset[str] = frozenset()
    passes: frozenset[str] = frozenset()
    """Fields of the body that the catalog allows upstream, in addition to the adapter's own list. `*` allows all."""
    drops: frozenset[str] = frozenset()
    """Fields that this route does not take, by the catalog or by experience: see `domain.request_fields`.

    A field of messages or of their parts is written `messages.<name>`.
    """
    stream: bool = False
    choices: int = 1
    native: NativeRequest | None = None
    """An adapter of its wire sends this in place of `body`, under the same limit and the same rules for fields."""
    max_searches: int = DEFAULT_SEARCHES
    """Web searches that the hold pays for, if the request asks for any."""
    continues: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """`Paused.content` of the part before this one. A stream gives what comes after it, a whole answer all of it."""


@record
class Timeouts:
    """The timeouts of one upstream call. Each of them raises `UpstreamTimeout`."""

    connect: timedelta
    first_byte: timedelta
    """From the last byte of the request to the first byte of the answer."""
    idle: timedelta
    """Between two reads of a streamed answer."""
    total: timedelta


@record
class UpstreamRequest:
    """One HTTP request to a provider, without what the transport adds (`Host`, `Content-Length`, `User-Agent`)."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"
    dropped: tuple[str, ...] = ()
    """Fields of the caller's body that are not sent to this provider and have no effect here."""
    native: bool = False
    """`ChatCall.native` was sent, not its translation: `dropped` has the names of that body."""
    retained: tuple[str, str] = field(default=("", ""), repr=False)
    """The header and its value by which the vendor says that it keeps this call, whatever it was asked."""


Headers = Mapping[str, str]
"""The headers of an upstream answer, with names in lower case."""


@record
class Accepted:
    """The provider has accepted the call: from here on it bills. It comes once, before every other event."""


@record
class Delta:
    """A part of the answer."""

    chunk: dict[str, Any] = field(repr=False)
    """OpenAI's chunk, complete: `choices` with `index` and `delta`, indexes and ids of tool calls; no `usage`."""
    text: str = field(default="", repr=False)
    """All text of the chunk, with reasoning and tool arguments. Its tokens are counted, and the hold pays for them.

    It is for the gateway. A `StreamWriter` reads `chunk`: in a replay nothing is counted, and this is empty.
    """
    finished: tuple[int, ...] = ()
    """The indexes of the choices that end with this chunk."""
    native: bytes | None = field(default=None, repr=False)
    """The vendor's own event, when `ChatCall.native` was sent: the JSON object of one server-sent event, without its
    framing. What has no counterpart in OpenAI's shape has `choices: []`. An event that ends a choice has no text.

    Once a stream has such events, a delta without one repeats what they say: for a client of another wire. Events that
    only keep a connection alive, and the last one after the end of the answer (`message_stop`), are not given.
    """


@record
class Report:
    """The usage that the provider reports, cumulative. Parts, such as cached tokens, are included in their whole."""

    usage: Usage


@record
class Done:
    """The answer is complete. Nothing after it is read."""


@record
class Paused:
    """In place of `Done`: the provider goes on when it is asked again with `ChatCall.continues`. No choice has ended.

    The usage that it reports then is of the next part alone.
    """

    content: tuple[dict[str, Any], ...] = field(repr=False)
    """All of the answer so far, in the vendor's shape, with what an earlier part continued."""


ProviderEvent = Accepted | Delta | Report | Done | Paused


@record
class WholeAnswer:
    """An answer that was not streamed."""

    body: dict[str, Any] = field(repr=False)
    """OpenAI's `chat.completion`, complete: `choices` with `index`, `message`, `finish_reason`; no `usage`."""
    text: str = field(repr=False)
    """All text of the answer. Its tokens are counted when `usage` is None."""
    usage: Usage | None
    """None when the provider reported no credible usage."""
    native: dict[str, Any] | None = field(default=None, repr=False)
    """The vendor's own answer, when `ChatCall.native` was sent."""
    paused: Paused | None = None
    """The answer is not complete. Its `finish_reason` is `length`, if nobody continues it."""


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into events. How the bytes are cut does not change the events.

    A broken stream, or a failure that the provider reports in it, raises `UpstreamError` or another error that
    `ChatAdapter.error` may return. The error is raised while the events are iterated, after those before the fault:
    iterate with a `for` inside the `try`, and handle each event at once.
    """

    def begin(self, headers: Headers) -> Iterable[ProviderEvent]:
        """Take the headers of an answer with status 200. Gives `Accepted` if they show that the provider accepted."""

    def feed(self, data: bytes) -> Iterable[ProviderEvent]: ...

    def eof(self) -> Iterable[ProviderEvent]:
        """Give the events of unfinished bytes, then the last one. Raises `UpstreamError` when the answer is cut off."""


class ChatAdapter(Protocol):
    """A provider's wire as pure functions: no socket, no clock, no task. Its errors contain no text of the vendor."""

    def request(self, call: ChatCall) -> UpstreamRequest:
        """Write the request. Raises `RequestInvalid` that names a field which this provider cannot take."""

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        """Read a body with status 200. Raises `UpstreamError` when it is not an answer, or the failure it reports.

        The gateway bounds the body, and calls this in a thread for a large one: share nothing that changes.
        """

    def decoder(self, call: ChatCall) -> StreamDecoder: ...

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        """Translate an answer with a status other than 200 into one of our errors. `body` may be cut after 64 KiB.

        `GatewayError.unsupported` of it has the fields to leave out when the same route is asked again.
        """


@record
class EmbeddingCall:
    """One request for embeddings to one route."""

    model: str
    """The provider's name for the model."""
    body: dict[str, Any] = field(repr=False)
    """As the client wrote it, validated. An adapter sends the fields that it knows."""
    inputs: tuple[str | list[int], ...] = field(repr=False)
    """Texts and arrays of tokens. The answer has one vector for each of them, in this order."""
    dimensions: int | None = None
    base64: bool = False
    """The client wants base64. An adapter may ask for that; what the vendor answers is converted in any case."""
    passes: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()
    """As in `ChatCall`."""


Vector = bytes | list[float]
"""One embedding: 32-bit floats in little-endian order, or the numbers as the provider wrote them."""


@record
class Embeddings:
    """The vectors of an answer, in the order of the inputs. The gateway checks their number, sizes and values."""

    vectors: list[Vector] = field(repr=False)
    usage: Usage | None
    """Input tokens only. None when the provider reported no credible usage."""


class EmbeddingAdapter(Protocol):
    """A provider's wire for embeddings, under the rules of `ChatAdapter`."""

    def request(self, call: EmbeddingCall) -> UpstreamRequest:
        """Write the request. Raises `RequestInvalid` that names a field which this provider cannot take."""

    def answer(self, call: EmbeddingCall, body: bytes) -> Embeddings:
        """Read a body with status 200, in a thread for a large one. Raises `UpstreamError` when it is no answer."""

    def error(self, call: EmbeddingCall, status: int, headers: Headers, body: bytes) -> GatewayError: ...


class Sink(Protocol):
    """Receives one upstream answer, in the event loop iteration in which its bytes arrive. Its methods never raise."""

    def head(self, status: int, headers: Headers) -> None: ...

    def data(self, data: bytes) -> None: ...

    def end(self) -> None:
        """The body is complete. No call follows."""

    def fail(self, error: GatewayError) -> None:
        """The call failed with `UpstreamError` or `UpstreamTimeout`. No call follows."""


class UpstreamCall(Protocol):
    """One upstream call under way."""

    def pause(self) -> None:
        """Stop reading from the provider until `resume`."""

    def resume(self) -> None: ...

    def close(self) -> None:
        """End the call. Closes the socket unless the answer was complete. The sink is not called again. Idempotent."""


class Transport(Protocol):
    """Sockets, pools, timeouts and bounds for every adapter."""

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        """Start the call and return at once. `sink` receives the answer or the error.

        When calls wait for a connection, their owners (accounts) take turns.
        """

    async def close(self) -> None: ...


@record
class ChatUpstream:
    """One provider of text, ready to be called."""

    adapter: ChatAdapter
    transport: Transport
    timeouts: Timeouts
    embeddings: EmbeddingAdapter | None = None
    """None: its kind has no adapter of embeddings here."""
    more: tuple["ChatUpstream", ...] = field(default=(), repr=False)
    """The same with each further key of the provider."""

    def keyed(self, key: int) -> "ChatUpstream":
        """Return the provider with the key of that number. A catalog that was reloaded may have fewer keys."""
        return self.more[key - 1] if 0 < key <= len(self.more) else self

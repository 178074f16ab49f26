"""The Protocol of a client wire: the format of one endpoint of one API. A wire contains no rule about money."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import Scope

from domain.catalog import Model
from domain.visitors import Allowance
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall, StreamWriter

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error for a client, before a wire formats it."""

    status: int
    message: str = field(repr=False)
    param: str | None = None
    """The field of the request that is at fault."""
    code: str | None = None
    """One of `api.error_codes.CODES`; None for a path or a method that is not served."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """For a 402: the credits needed and available."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A body without its endpoint: a quote takes that of every wire."""

    body: Mapping[str, Any] = field(repr=False)
    model: Model | None
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)

    def has(self, name: str) -> bool:
        return self.body.get(name) is not None


class ClientWire(Protocol):
    path: str
    endpoint: str
    """The scope of its idempotency keys. Never change it: a retry must find the result of the first attempt."""
    content_type: str
    """The content type of whole answers and of errors."""
    stream_content_type: str

    @property
    def request_id_header(self) -> bytes | None:
        """A header with the request's id, for clients that do not read `x-request-id`."""

    @property
    def key_headers(self) -> tuple[bytes, ...]:
        """Headers that may have the key beside `Authorization: Bearer` and `x-api-key`, in lower case."""

    @property
    def operation(self) -> Mapping[str, Any]:
        """The operation object of the endpoint in the OpenAPI document."""

    def parse(self, body: dict[str, Any]) -> ModelCall:
        """Read a request. Raises `RequestInvalid` that names the first wrong field, as the client wrote it."""

    def takes(self, quoted: Quoted) -> bool:
        """Tell whether the body is one of this wire. The first wire of the table that takes it parses it."""

    @property
    def whole(self) -> Callable[[CompletedAnswer, Bill], bytes] | None:
        """The function that writes an answer which is not streamed. None: `parse` asks for streams only.

        It is called after the charge has committed, so it may not raise: the arguments of a tool may be no JSON.
        """

    @property
    def writer(self) -> Callable[[Head], StreamWriter] | None:
        """Makes the writer of a stream. None: `parse` asks for whole answers only."""

    @property
    def visitor_writer(self) -> Callable[[Head, Callable[[], Allowance]], StreamWriter] | None:
        """Makes the writer of a stream to a visitor, which tells the allowance. None: it is not for visitors."""

    def is_client(self, scope: Scope) -> bool:
        """Tell whether a request to an endpoint that is no wire's comes from a client that reads this wire's errors."""

    def error(self, error: ErrorAnswer, request_id: str) -> bytes:
        """Write the body of an error that happens before a stream begins, also before `parse`."""

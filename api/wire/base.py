"""The Protocol of a client wire: the format of one endpoint of one API. A wire contains no rule about money."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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


class ClientWire(Protocol):
    path: str
    endpoint: str
    """The scope of its idempotency keys. Never change it: a retry must find the result of the first attempt."""
    content_type: str
    """The content type of whole answers and of errors."""
    stream_content_type: str

    @property
    def key_headers(self) -> tuple[bytes, ...]:
        """Headers that may have the key beside `Authorization: Bearer` and `x-api-key`, in lower case."""

    @property
    def operation(self) -> Mapping[str, Any]:
        """The operation object of the endpoint in the OpenAPI document."""

    def parse(self, body: dict[str, Any]) -> ModelCall:
        """Read a request. Raises `RequestInvalid` that names the first wrong field, as the client wrote it."""

    @property
    def whole(self) -> Callable[[CompletedAnswer, Bill], bytes] | None:
        """The function that writes an answer which is not streamed. None if this wire has streams only.

        It is called after the charge has committed, so it may not raise: the arguments of a tool may be no JSON.
        """

    @property
    def writer(self) -> Callable[[Head], StreamWriter] | None:
        """Makes the writer of a stream. None if this wire has whole answers only: `parse` asks for no stream then."""

    @property
    def visitor_writer(self) -> Callable[[Head, Callable[[], Allowance]], StreamWriter] | None:
        """Makes the writer of a stream to a visitor, which tells the allowance. None: it is not for visitors."""

    def error(self, error: ErrorAnswer, request_id: str) -> bytes:
        """Write the body of an error that happens before a stream begins, also before `parse`."""

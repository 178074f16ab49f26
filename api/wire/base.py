"""What the chat endpoint asks of a client wire, which is one endpoint of one API. It knows no rule of money."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.wire import Bill, CompletedAnswer, Head, ModelCall, StreamWriter

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as a client hears it, before a wire has put it into its own words."""

    status: int
    message: str
    param: str | None = None
    """The field of the request that is at fault."""
    code: str | None = None
    """One of `api.errors.CODES`; None for a path or a method that is not served."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """With a 402: what was needed, and what there is."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """OpenAI's kind of this error."""
        if self.status == 402:
            return "insufficient_quota"
        if self.status == 429:
            return "requests"
        return "server_error" if self.status >= 500 else "invalid_request_error"


class ClientWire(Protocol):
    path: str
    endpoint: str
    """The scope of its idempotency keys. Never changed: a retry must find what its first attempt made."""
    content_type: str
    """Of whole answers and of errors."""
    stream_content_type: str

    @property
    def key_headers(self) -> tuple[bytes, ...]:
        """Headers that may have the caller's key, beside `Authorization: Bearer` and `x-api-key`. In lower case."""

    @property
    def operation(self) -> Mapping[str, Any]:
        """Its description in the OpenAPI document."""

    def parse(self, body: dict[str, Any]) -> ModelCall:
        """Raises `RequestInvalid` that names the first field at fault."""

    @property
    def whole(self) -> Callable[[CompletedAnswer, Bill], bytes] | None:
        """Writes an answer that is not streamed. None: this wire has streams alone."""

    def writer(self, head: Head) -> StreamWriter: ...

    def error(self, error: ErrorAnswer, request_id: str) -> bytes:
        """An answer with an error's status: whatever fails before a stream begins, also before `parse`."""

"""The public API as pages use it: called in this process, in the name of the browser that asks for the page."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from starlette.datastructures import FormData

_ERRORS_FROM = 400


@dataclass(frozen=True, slots=True)
class Fault(Exception):
    """An error of the API, as its envelope has it."""

    status: int
    message: str = field(repr=False)
    code: str | None = None
    param: str | None = None
    """The field at fault."""
    retry_after: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any = field(repr=False)
    """JSON that was read. None: it had none."""
    headers: Sequence[tuple[str, str]] = field(repr=False)

    def values(self, name: str) -> list[str]:
        """Return the values of a header, which is named in lower case."""
        return [value for header, value in self.headers if header == name]

    def fault(self) -> Fault | None:
        if self.status < _ERRORS_FROM:
            return None
        error = self.body.get("error", {}) if isinstance(self.body, dict) else {}
        known = {"message", "code", "param", "type"}
        return Fault(
            self.status,
            error.get("message", "The request could not be served."),
            error.get("code"),
            error.get("param"),
            next(iter(self.values("retry-after")), None),
            {name: value for name, value in error.items() if name not in known},
        )


@dataclass(frozen=True, slots=True)
class Server:
    """What pages say of this server."""

    public_url: str
    """Without a slash at its end."""
    contact: str | None
    """How its operator is reached: an e-mail address, or a link."""
    free_credits: int
    """Of a new account."""
    verifies: bool = True
    """An account is opened by a link that is mailed. Else each network has the free credits once, too."""
    media_origin: str = ""
    """Where outputs are read, if that is not this server: the origin of the object store."""
    max_body_bytes: int = 0
    """Of a request to the API. 0: nothing is known of it."""
    takes_loopback: bool = False
    """URLs of its users may be of the machine that it runs on, as its operator has set it for development."""
    output_lifetime: timedelta | None = None
    """How long files of jobs are stored, unless a plan says another time."""
    share_lifetime: timedelta | None = None
    """How long a shared page lives. None: until it is taken back."""
    mails: bool = True
    """It sends mails. Else its operator hands out links."""

    @property
    def offer(self) -> str:
        """What a new account comes with, to end a sentence about it. Empty: nothing."""
        each = "mailbox" if self.verifies else "mailbox and network"
        return f"it comes with {self.free_credits:,} credits, once for each {each}" if self.free_credits else ""


class Api(Protocol):
    @property
    def server(self) -> Server: ...

    @property
    def has_session(self) -> bool:
        """Tell whether the browser sent the cookie of a session, which may have ended."""

    def require_same_origin(self) -> None:
        """Raise `Fault` if the request changes something and no page of this server made it."""

    def large_form(self) -> AbstractAsyncContextManager[FormData]:
        """Count the request, and read its form in its account's turn. The block has the memory that it takes.

        Raises `Fault`.
        """

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an endpoint. `body` is sent as JSON, bytes as they are. The session, address and limits are the page's.

        Does not raise for an answer with an error: `Answer.fault` has it.
        """

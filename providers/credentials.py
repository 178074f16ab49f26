"""Access tokens from a service account of Google: minted, kept and renewed by the transport, below the adapters.

One request for a token serves all calls that wait for it. A token that the provider refuses is minted again, once in a
call. Each key of a provider has a transport, and so a token, of its own: without a token, that key rests.
"""

import base64
import time
from collections.abc import Callable, Hashable
from dataclasses import field, replace
from urllib.parse import urlencode

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from domain.errors import GatewayError, UpstreamError
from domain.records import record
from providers.base import Headers, Sink, Timeouts, Transport, UpstreamCall, UpstreamRequest
from providers.late_call import LateCall

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3600
EARLY_SECONDS = 120.0
"""A token is renewed so long before it ends: a call that begins with it must not outlive it at its first byte."""
MAX_ANSWER = 64 * 1024
Clock = Callable[[], float]
"""Seconds since 1970."""


@record
class ServiceAccount:
    """What the key file of a service account says."""

    email: str = field(repr=False)
    key_id: str = field(repr=False)
    key: RSAPrivateKey = field(repr=False)
    token_url: str = field(repr=False)
    project: str = field(repr=False)

    @classmethod
    def of(cls, document: str) -> "ServiceAccount":
        """Read a key file. Raises ValueError, without any of its text, if it is none."""
        try:
            fields = orjson.loads(document)
            key = serialization.load_pem_private_key(fields["private_key"].encode(), password=None)
            email, token_url = str(fields["client_email"]), str(fields["token_uri"])
            key_id, project = str(fields.get("private_key_id", "")), str(fields.get("project_id", ""))
        except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm):
            raise ValueError("is not the key file of a service account") from None
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("has a private key that is not RSA")
        return cls(email, key_id, key, token_url, project)

    def token_request(self, now: float) -> UpstreamRequest:
        """Return the request that exchanges a signed assertion for an access token."""
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {"iss": self.email, "scope": SCOPE, "aud": self.token_url, "iat": int(now)}
        signed = (
            _encoded(orjson.dumps(header))
            + b"."
            + _encoded(orjson.dumps({**claims, "exp": int(now) + ASSERTION_SECONDS}))
        )
        signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        form = {"grant_type": GRANT, "assertion": (signed + b"." + _encoded(signature)).decode()}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return UpstreamRequest(self.token_url, headers, urlencode(form).encode())


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class AuthorizedTransport:
    """Implements `providers.base.Transport`: adds an access token to each call. Belongs to one event loop."""

    def __init__(self, inner: Transport, account: ServiceAccount, clock: Clock = time.time) -> None:
        self._inner = inner
        self._account = account
        self._clock = clock
        self._token: str | None = None
        self._ends = 0.0
        self._waiting: list[_AuthorizedCall] = []

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        call = _AuthorizedCall(self, request, timeouts, sink, owner)
        self.authorize(call, timeouts)
        return call

    def authorize(self, call: "_AuthorizedCall", timeouts: Timeouts) -> None:
        """Start the call with a token, at once or when there is one."""
        if self._token is not None and self._clock() < self._ends:
            call.start(self._token)
            return
        self._waiting.append(call)
        if len(self._waiting) == 1:
            self._inner.open(self._account.token_request(self._clock()), timeouts, _TokenSink(self))

    async def close(self) -> None:
        """The inner transport is shared: who made it closes it."""

    def send(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable) -> UpstreamCall:
        return self._inner.open(request, timeouts, sink, owner)

    def minted(self, token: str, seconds: float) -> None:
        self._token, self._ends = token, self._clock() + seconds - EARLY_SECONDS
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.start(token)

    def not_minted(self, error: GatewayError) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(error)

    def refused(self, token: str) -> None:
        """Forget a token that the provider does not take."""
        if token == self._token:
            self._token = None


class _AuthorizedCall(LateCall):
    """Implements `UpstreamCall`, and the `Sink` of the call that it wraps."""

    def __init__(
        self, transport: AuthorizedTransport, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable
    ) -> None:
        super().__init__()
        self._transport, self._request, self._timeouts = transport, request, timeouts
        self._sink, self._owner = sink, owner
        self._token = ""
        self._closed = self._again = False

    def start(self, token: str) -> None:
        if self._closed:
            return
        self._token = token
        request = self._request
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        sent = replace(request, headers=headers)
        self._begin(self._transport.send(sent, self._timeouts, self, self._owner))

    def close(self) -> None:
        self._closed = True
        if self._call is not None:
            self._call.close()

    def head(self, status: int, headers: Headers) -> None:
        if status == 401:
            self._transport.refused(self._token)
            if not self._again:
                self._ask_again()
                return
        self._sink.head(status, headers)

    def _ask_again(self) -> None:
        """The token may have been revoked before its end: nothing was answered, and another token may do."""
        self._again = True
        if self._call is not None:
            self._call.close()
            self._call = None
        self._transport.authorize(self, self._timeouts)

    def data(self, data: bytes) -> None:
        self._sink.data(data)

    def end(self) -> None:
        self._sink.end()

    def fail(self, error: GatewayError) -> None:
        if not self._closed:
            self._sink.fail(error)


class _TokenSink:
    """Implements `Sink`: the answer of the token endpoint."""

    def __init__(self, transport: AuthorizedTransport) -> None:
        self._transport = transport
        self._status = 0
        self._body = bytearray()

    def head(self, status: int, headers: Headers) -> None:
        self._status = status

    def data(self, data: bytes) -> None:
        self._body += data[: MAX_ANSWER - len(self._body)]

    def end(self) -> None:
        try:
            answer = orjson.loads(bytes(self._body)) if self._status == 200 else None
        except orjson.JSONDecodeError:
            answer = None
        match answer:
            case {"access_token": str(token), "expires_in": int() | float() as seconds} if _can_be_sent(token):
                self._transport.minted(token, float(seconds))
            case _:
                self._transport.not_minted(_without_token(401 if 400 <= self._status < 404 else None))

    def fail(self, error: GatewayError) -> None:
        self._transport.not_minted(_without_token(None))


def _can_be_sent(token: str) -> bool:
    return token.isascii() and token.isprintable()


def _without_token(status: int | None) -> UpstreamError:
    """The error of a call that gets no token. With 401, the service account itself is refused."""
    error = UpstreamError()
    error.status, error.blames_key = status, True
    return error

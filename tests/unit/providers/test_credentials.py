"""Access tokens of a service account: one for all calls, renewed in time, minted again when refused."""

import base64
import json
from collections.abc import Hashable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from domain.errors import GatewayError, UpstreamError, UpstreamTimeout
from gateway import route_states
from gateway.route_states import Failure
from providers.base import Headers, Sink, Timeouts, UpstreamRequest
from providers.credentials import EARLY_SECONDS, SCOPE, AuthorizedTransport, ServiceAccount

KEY = rsa.generate_private_key(65537, 2048)
TIMEOUTS = Timeouts(*(timedelta(seconds=1),) * 4)
TOKEN_URL = "https://token.invalid/token"
CALL = UpstreamRequest("https://vertex.invalid/m", {"Accept": "x"}, b"{}")


def document(key: Any = KEY, **fields: Any) -> str:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    known = {"type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem}
    return json.dumps(known | {"client_email": "me@p.invalid", "token_uri": TOKEN_URL} | fields)


class Opened:
    """An upstream call under way."""

    def __init__(self) -> None:
        self.paused = self.closed = 0

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1

    def close(self) -> None:
        self.closed += 1


class Inner:
    """A transport that the test answers."""

    def __init__(self) -> None:
        self.opened: list[tuple[UpstreamRequest, Sink]] = []
        self.call = Opened()

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> Opened:
        self.opened.append((request, sink))
        return self.call

    async def close(self) -> None: ...

    def answer(self, place: int, body: Any, status: int = 200) -> None:
        sink = self.opened[place][1]
        sink.head(status, {})
        sink.data(json.dumps(body).encode())
        sink.end()


class Seen:
    """A sink."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.errors: list[GatewayError] = []
        self.ended = 0

    def head(self, status: int, headers: Headers) -> None:
        self.statuses.append(status)

    def data(self, data: bytes) -> None: ...

    def end(self) -> None:
        self.ended += 1

    def fail(self, error: GatewayError) -> None:
        self.errors.append(error)


class Setup:
    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.inner = Inner()
        account = ServiceAccount.of(document())
        self.transport = AuthorizedTransport(self.inner, account, lambda: self.now)

    def call(self) -> Seen:
        sink = Seen()
        self.transport.open(CALL, TIMEOUTS, sink)
        return sink

    @property
    def urls(self) -> list[str]:
        return [request.url for request, _ in self.inner.opened]


def token(name: str = "t1", seconds: object = 3600) -> dict[str, Any]:
    return {"access_token": name, "expires_in": seconds, "token_type": "Bearer"}


def part(encoded: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))


def test_the_assertion_is_signed_with_the_key() -> None:
    request = ServiceAccount.of(document()).token_request(1000.7)
    form = parse_qs(request.body.decode())
    header, claims, signature = form["assertion"][0].split(".")
    assert part(header) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    expected = {"iss": "me@p.invalid", "scope": SCOPE, "aud": TOKEN_URL, "iat": 1000, "exp": 4600}
    assert part(claims) == expected
    signed = base64.urlsafe_b64decode(signature + "==")
    KEY.public_key().verify(signed, f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())


def test_calls_wait_for_one_token_and_later_ones_have_it() -> None:
    setup = Setup()
    first, second = setup.call(), setup.call()
    assert setup.urls == [TOKEN_URL]
    setup.inner.answer(0, token())
    setup.call()
    assert setup.urls == [TOKEN_URL, *[CALL.url] * 3]
    sent = setup.inner.opened[3][0]
    assert (sent.headers, sent.body) == ({"Accept": "x", "Authorization": "Bearer t1"}, CALL.body)
    assert "t1" not in repr(sent)
    setup.inner.answer(1, {})
    assert (first.statuses, first.ended, second.ended) == ([200], 1, 0)


@pytest.mark.parametrize(("later", "requests"), [(3600 - EARLY_SECONDS - 1, 1), (3600 - EARLY_SECONDS + 1, 2)])
def test_a_token_is_renewed_before_it_ends(later: float, requests: int) -> None:
    setup = Setup()
    setup.call()
    setup.inner.answer(0, token())
    setup.now += later
    setup.call()
    assert setup.urls.count(TOKEN_URL) == requests


@pytest.mark.parametrize("status", [200, 401])
def test_a_refused_token_is_minted_again_once_in_a_call(status: int) -> None:
    setup = Setup()
    sink = setup.call()
    setup.inner.answer(0, token())
    setup.inner.opened[1][1].head(401, {})
    assert (sink.statuses, setup.inner.call.closed) == ([], 1)
    setup.inner.answer(2, token("t2"))
    assert setup.inner.opened[3][0].headers["Authorization"] == "Bearer t2"
    setup.inner.answer(3, {}, status)
    assert (sink.statuses, sink.ended, setup.urls.count(TOKEN_URL)) == ([status], 1, 2)


@pytest.mark.parametrize(
    ("status", "body", "rest"),
    [
        (400, {"error": "invalid_grant"}, route_states.KEY_REST_SECONDS),
        (503, {}, route_states.BLAMED_REST_SECONDS),
        (200, {}, route_states.BLAMED_REST_SECONDS),
        (200, token(seconds="x"), route_states.BLAMED_REST_SECONDS),
        (200, token("a\r\nb"), route_states.BLAMED_REST_SECONDS),
        (200, token("\u2192"), route_states.BLAMED_REST_SECONDS),
        (200, [], route_states.BLAMED_REST_SECONDS),
        (None, UpstreamTimeout(), route_states.BLAMED_REST_SECONDS),
    ],
)
def test_without_a_token_the_key_rests_for_all_and_the_next_call_tries_again(
    status: int | None, body: Any, rest: float
) -> None:
    setup = Setup()
    sink = setup.call()
    if status is None:
        setup.inner.opened[0][1].fail(body)
    else:
        setup.inner.answer(0, body, status)
    (error,) = sink.errors
    assert type(error) is UpstreamError
    why = route_states.failure(error)
    assert (why, route_states.rest_seconds(error, why), route_states.is_sure(error)) == (Failure.KEY, rest, True)
    setup.call()
    assert setup.urls == [TOKEN_URL, TOKEN_URL]


def test_a_call_that_was_closed_while_it_waited_is_not_sent() -> None:
    setup = Setup()
    sink, waiting = Seen(), Seen()
    setup.transport.open(CALL, TIMEOUTS, sink).close()
    paused = setup.transport.open(CALL, TIMEOUTS, waiting)
    paused.pause()
    setup.inner.answer(0, token())
    assert setup.urls == [TOKEN_URL, CALL.url]
    assert setup.inner.call.paused == 1
    paused.resume()
    assert setup.inner.call.paused == 0


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        document(private_key="SECRET"),
        document(private_key=7),
        document(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_what_is_no_key_file(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not the key file|has a private key)") as error:
        ServiceAccount.of(text)
    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None


def test_nothing_of_the_key_file_is_in_a_repr() -> None:
    assert repr(ServiceAccount.of(document())) == "ServiceAccount()"

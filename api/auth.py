"""Authentication by `Authorization: Bearer <key>`, `x-api-key`, a header that a client wire names, or the cookie of a
signed-in browser. When a request has both, the key counts.
"""

import contextlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Scope

from api import ratelimit
from api.resources import Resources
from api.visitors import visitor_of
from db import keys as stored_keys
from domain.caller import AnyCaller, ApiKey, Caller, PresentedKey
from domain.errors import CallerUnknown, GatewayError, ServiceUnavailable
from domain.operations import Admit
from domain.results import Admitted

Headers = Iterable[tuple[bytes, bytes]]
USE_NOTED_EVERY = timedelta(minutes=1)
_CALLER = "caller"
_ADMITTED = "admitted"


def presented(headers: Headers, also: Collection[bytes] = ()) -> PresentedKey | None:
    """Return a well-formed key from the headers, or None if they have no key. `also` names more that may have it.

    It does no I/O. Raises `CallerUnknown` for a malformed key.
    """
    bearer = other = b""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
        elif name == b"x-api-key" or name in also:
            other = value.strip()
    token = (bearer or other).decode("latin-1")
    return PresentedKey.of(token) if token else None


async def caller_of(scope: Scope, also: Collection[bytes] = ()) -> AnyCaller:
    """Return who makes a request: a key, which the ledger looks up, or who is signed in by the cookie.

    Raises `CallerUnknown`, `CrossSite` and `AccountSuspended`.
    """
    return presented(scope["headers"], also) or await _signed_in(scope)


async def caller_or_visitor(scope: Scope, also: Collection[bytes] = ()) -> AnyCaller:
    """Return who makes a request, as `caller_of`. Without a key and without a session it is a visitor.

    Raises `CallerUnknown` also if this server has no visitors.
    """
    key = presented(scope["headers"], also)
    resources: Resources = scope["app"].state.resources
    if key is None and resources.cookie.secret(scope) is None and (visitor := visitor_of(scope)) is not None:
        return visitor
    return key or await _signed_in(scope)


async def _signed_in(scope: Scope) -> Caller:
    """Return the owner of the cookie's session, looked up once per request."""
    caller = scope["state"].get(_CALLER)
    if caller is None:
        resources: Resources = scope["app"].state.resources
        secret = resources.cookie.secret(scope)
        if secret is None:
            raise CallerUnknown
        resources.cookie.require_same_origin(scope)
        caller = _noted(scope, await resources.sessions.authenticate(secret))
    assert isinstance(caller, Caller)  # noqa: S101  # nothing else is put there
    return caller


def _noted(scope: Scope, caller: Caller) -> Caller:
    """Keep the caller for the rest of the request, and tell what is left of its limits in the answer's headers."""
    resources: Resources = scope["app"].state.resources
    scope["state"][_CALLER] = caller
    ratelimit.note(scope, *caller.rates_left(resources.ceiling, datetime.now(UTC)), caller.credential.expires_at)
    return caller


async def admit(scope: Scope, caller: AnyCaller, ledger_scope: str | None = None) -> Admitted:
    """Count a request against the caller's rate limit, once per HTTP request: before work is done, or on a refusal.

    Raises `CallerUnknown` and `RateLimited`.
    """
    before = admitted_before(scope)
    if before is not None:
        return before
    resources: Resources = scope["app"].state.resources
    payer = caller.payer(resources.ceiling, datetime.now(UTC))
    try:
        admitted = await resources.calls.ledger.ask(
            Admit(payer.digest, ledger_scope, resources.ceiling, None if payer.digest else payer.account_id)
        )
    except GatewayError as error:
        if error.left is not None:
            ratelimit.note(scope, *error.left, error.key_expires)
        raise
    assert isinstance(admitted, Admitted)  # noqa: S101  # the answer to an Admit
    scope["state"][_ADMITTED] = admitted
    ratelimit.note(scope, admitted.requests, admitted.tokens, admitted.key_expires)
    return admitted


def admitted_before(scope: Scope) -> Admitted | None:
    admitted = scope["state"].get(_ADMITTED)
    assert admitted is None or isinstance(admitted, Admitted)  # noqa: S101  # nothing else is put there
    return admitted


async def authenticate(scope: Scope, *, visitors: bool = False) -> Caller:
    """Return the caller, looked up once per request. `visitors` lets it be one of them.

    Raises `CallerUnknown`, `CrossSite` and `AccountSuspended`.
    """
    caller = await (caller_or_visitor if visitors else caller_of)(scope)
    return await _looked_up(scope, caller) if isinstance(caller, PresentedKey) else caller


async def _note_use(resources: Resources, caller: Caller) -> None:
    """Record the use of a key by a request that the ledger does not see, once a minute. Reads go on if that fails."""
    key = caller.credential
    assert isinstance(key, ApiKey)  # noqa: S101  # a key was presented
    if key.last_used_at is not None and datetime.now(UTC) - key.last_used_at < USE_NOTED_EVERY:
        return
    with contextlib.suppress(ServiceUnavailable, SQLAlchemyError):
        async with resources.database.transaction() as session:
            await stored_keys.note_use(session, key.key_id)


async def _looked_up(scope: Scope, key: PresentedKey) -> Caller:
    caller = scope["state"].get(_CALLER)
    if caller is None:
        resources: Resources = scope["app"].state.resources
        async with resources.database.reading() as session:
            caller = _noted(scope, await stored_keys.authenticate(session, key.token))
        if admitted_before(scope) is None:
            await _note_use(resources, caller)
    assert isinstance(caller, Caller)  # noqa: S101  # nothing else is put there
    return caller

"""Authentication by `Authorization: Bearer <key>`, `x-api-key`, or a header that a client wire names."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from starlette.types import Scope

from api import ratelimit
from api.resources import Resources
from db import keys as stored_keys
from domain.caller import Caller, PresentedKey
from domain.errors import GatewayError
from domain.operations import Admit
from domain.results import Admitted

Headers = Iterable[tuple[bytes, bytes]]
_CALLER = "caller"
_ADMITTED = "admitted"


def presented(headers: Headers, also: Collection[bytes] = ()) -> PresentedKey:
    """Return a well-formed key from the headers. `also` names more headers that may have it.

    It does no I/O. Raises `CallerUnknown` if there is no such key.
    """
    bearer = other = b""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
        elif name == b"x-api-key" or name in also:
            other = value.strip()
    return PresentedKey.of((bearer or other).decode("latin-1"))


async def admit(scope: Scope, key: PresentedKey, ledger_scope: str | None = None) -> Admitted:
    """Count a request against the key's rate limit, once per HTTP request: before work is done, or on a refusal.

    Raises `CallerUnknown` and `RateLimited`.
    """
    before = admitted_before(scope)
    if before is not None:
        return before
    resources: Resources = scope["app"].state.resources
    try:
        admitted = await resources.calls.ledger.ask(Admit(key.digest, ledger_scope, resources.ceiling))
    except GatewayError as error:
        if error.left is not None:
            ratelimit.note(scope, *error.left)
        raise
    assert isinstance(admitted, Admitted)  # noqa: S101  # the answer to an Admit
    scope["state"][_ADMITTED] = admitted
    ratelimit.note(scope, admitted.requests, admitted.tokens)
    return admitted


def admitted_before(scope: Scope) -> Admitted | None:
    admitted = scope["state"].get(_ADMITTED)
    assert admitted is None or isinstance(admitted, Admitted)  # noqa: S101  # nothing else is put there
    return admitted


async def authenticate(scope: Scope) -> Caller:
    """Return the caller, looked up once per request, and note what is left of the key's limits for the headers.

    Raises `CallerUnknown`.
    """
    caller = scope["state"].get(_CALLER)
    if caller is None:
        key = presented(scope["headers"])
        resources: Resources = scope["app"].state.resources
        async with resources.database.reading() as session:
            caller = await stored_keys.authenticate(session, key.token)
        scope["state"][_CALLER] = caller
        ratelimit.note(scope, *caller.rates_left(resources.ceiling, datetime.now(UTC)))
    assert isinstance(caller, Caller)  # noqa: S101  # nothing else is put there
    return caller

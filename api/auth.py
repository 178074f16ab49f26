"""Who calls: `Authorization: Bearer <key>`, `x-api-key`, or a header that a client wire names."""

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
    """A well-formed key from the headers; `also` are names of others that may have it.

    Raises `CallerUnknown` before any database is asked.
    """
    bearer = other = b""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
        elif name == b"x-api-key" or name in also:
            other = value.strip()
    return PresentedKey.of((bearer or other).decode("latin-1"))


async def admit(scope: Scope, key: PresentedKey, ledger_scope: str | None = None) -> Admitted:
    """Take one of the key's requests, once a request: before work is done for it, or because it is refused.

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
    assert isinstance(admitted, Admitted)  # noqa: S101  # what an Admit is answered with
    scope["state"][_ADMITTED] = admitted
    ratelimit.note(scope, admitted.requests, admitted.tokens)
    return admitted


def admitted_before(scope: Scope) -> Admitted | None:
    admitted = scope["state"].get(_ADMITTED)
    assert admitted is None or isinstance(admitted, Admitted)  # noqa: S101  # nothing else is put there
    return admitted


async def authenticate(scope: Scope) -> Caller:
    """The caller, looked up once a request. Raises `CallerUnknown`; what is left of the key's limits is noted."""
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

"""Dependencies of handlers, as `Annotated` aliases. A handler's signature shows which callers it allows."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyCookie, HTTPBearer

from api import auth, idempotency, privacy
from api.resources import Resources
from domain.caller import Caller, Visitor, WebSession
from domain.errors import AuthorityExceeded, ScopeMissing
from domain.privacy import Privacy
from domain.records import record
from gateway.idempotency import IdempotentRequest
from gateway.throttles import Client

_documented = HTTPBearer(auto_error=False, description="An API key of your account: `yout-…`. `x-api-key` works too.")
_documented_cookie = APIKeyCookie(
    name="yout", auto_error=False, description="Of a browser that is signed in; from https it is `__Host-yout`."
)


@record
class Callers:
    """Who may call an operation. The OpenAPI document and docs/scopes.md are made from what the handlers enforce."""

    scope: str | None = None
    """The scope that a key needs. None: any key may call."""
    keys: bool = True
    visitors: bool = False


_CALLERS = "yout_callers"
Dependency = TypeVar("Dependency", bound=Callable[..., Any])


def asks_for(callers: Callers, dependency: Dependency) -> Dependency:
    """Note on a dependency whom it lets through."""
    setattr(dependency, _CALLERS, callers)
    return dependency


def callers_of(dependant: Dependant) -> Callers | None:
    """Return whom the dependencies of a route let through. None: they ask nobody."""
    for inner in dependant.dependencies:
        callers: Callers | None = getattr(inner.call, _CALLERS, None) or callers_of(inner)
        if callers is not None:
            return callers
    return None


def resources(request: Request) -> Resources:
    shared = request.app.state.resources
    assert isinstance(shared, Resources)  # noqa: S101  # the lifespan put it there
    return shared


async def _signed_in(request: Request, _: Annotated[object, Depends(_documented_cookie)]) -> WebSession:
    """Only the owner, signed in: a key neither changes nor ends how people sign in."""
    credential = (await auth.authenticate(request.scope)).credential
    if not isinstance(credential, WebSession):
        raise AuthorityExceeded("No API key may do this. Sign in with a browser.")
    return credential


async def _resources(request: Request) -> Resources:
    return resources(request)


async def _client(request: Request) -> Client:
    shared = resources(request)
    return Client(shared.addresses.network_of(request.scope), shared.cookie.browser(request.scope))


def _may(scope: str | None, *, visitors: bool = False) -> Callable[..., Coroutine[Any, Any, Caller]]:
    async def permitted(
        request: Request,
        _: Annotated[object, Depends(_documented)],
        __: Annotated[object, Depends(_documented_cookie)],
    ) -> Caller:
        caller = await auth.authenticate(request.scope, visitors=visitors)
        if isinstance(caller.credential, Visitor):
            return caller
        if scope is not None and scope not in caller.scopes:
            raise ScopeMissing(scope)
        return caller

    return asks_for(Callers(scope, visitors=visitors), permitted)


async def ordering(
    request: Request,
    caller: Annotated[Caller, Depends(_may("media"))],
    _: Annotated[Literal["default", "strict"] | None, Header(alias=privacy.HEADER.decode())] = None,
    _strict: Annotated[str | None, Header(alias=privacy.STRICT.decode())] = None,
) -> Caller:
    """Return the caller of a job, with what headers of the request add to the rules of its key."""
    headers = idempotency.named(request.scope["headers"])
    wish = privacy.named(headers.get(privacy.HEADER, b"").decode("latin-1") or None)
    strict = privacy.strict(headers)
    if wish is Privacy.DEFAULT and not strict:
        return caller
    had = caller.credential
    stated = had.privacy if wish is Privacy.DEFAULT else wish
    return replace(caller, credential=replace(had, privacy=stated, strict=had.strict or strict))


async def _idempotent_request(
    request: Request,
    _: Annotated[str | None, Header(alias=idempotency.HEADER, description=idempotency.DESCRIPTION)] = None,
) -> IdempotentRequest | None:
    """Read the request's `Idempotency-Key`, if it has one."""
    key = idempotency.key_of(idempotency.named(request.scope["headers"]))
    if key is None:
        return None
    caller = await auth.authenticate(request.scope)
    parsed: dict[str, Any] = await request.json() or {}
    return resources(request).claims.explicit(request.url.path, key, parsed, caller.credential.replay_secret)


async def _retried_request(request: Request, explicit: "IdempotencyKey") -> IdempotentRequest:
    """Read what makes a job the same one: the `Idempotency-Key`, or that a stock SDK sends its request again.

    A job may take longer than an SDK waits. For any account, its retry finds the job of its first attempt.
    """
    if explicit is not None:
        return explicit
    caller, retry = await auth.authenticate(request.scope), idempotency.is_retry(dict(request.scope["headers"]))
    parsed: dict[str, Any] = await request.json() or {}
    secret = caller.credential.replay_secret
    implicit = resources(request).claims.implicit(request.url.path, parsed, secret, retry=retry)
    return replace(implicit, claim=replace(implicit.claim, implicit=False))


CurrentResources = Annotated[Resources, Depends(_resources)]
"""FastAPI calls what is not `async` in a thread: a dependency that waits for nothing is `async` all the same."""
AnyCaller = Annotated[Caller, Depends(_may(None))]
AnyCallerOrVisitor = Annotated[Caller, Depends(_may(None, visitors=True))]
MayListModels = Annotated[Caller, Depends(_may("models"))]
MayListModelsOrVisitor = Annotated[Caller, Depends(_may("models", visitors=True))]
MayManageKeys = Annotated[Caller, Depends(_may("keys"))]
IdempotencyKey = Annotated[IdempotentRequest | None, Depends(_idempotent_request)]
RetriedRequest = Annotated[IdempotentRequest, Depends(_retried_request)]
MaySeeBilling = Annotated[Caller, Depends(_may("billing"))]
MayChat = Annotated[Caller, Depends(_may("chat"))]
MayRender = Annotated[Caller, Depends(_may("media"))]
MayOrder = Annotated[Caller, Depends(ordering)]
MayPurge = Annotated[Caller, Depends(_may("purge"))]
SignedIn = Annotated[WebSession, Depends(asks_for(Callers(keys=False), _signed_in))]
AskingClient = Annotated[Client, Depends(_client)]
MayManageWebhooks = Annotated[Caller, Depends(_may("webhooks"))]
MayShare = Annotated[Caller, Depends(_may("share"))]

"""What handlers ask for, as `Annotated` aliases: the signature is the policy."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from api import auth
from api.resources import Resources
from db import keys
from db.keys import Caller
from domain.errors import ScopeMissing

_documented = HTTPBearer(auto_error=False, description="An API key of your account: `yout-…`. `x-api-key` works too.")


def resources(request: Request) -> Resources:
    found = request.app.state.resources
    assert isinstance(found, Resources)  # noqa: S101  # the lifespan put it there
    return found


def _may(scope: str | None) -> Callable[..., Coroutine[Any, Any, Caller]]:
    async def caller(request: Request, _: Annotated[object, Depends(_documented)]) -> Caller:
        token = auth.token(request.scope["headers"])
        async with resources(request).database.reading() as session:
            found = await keys.authenticate(session, token)
        if scope is not None and scope not in found.scopes:
            raise ScopeMissing(scope)
        return found

    return caller


Held = Annotated[Resources, Depends(resources)]
AnyCaller = Annotated[Caller, Depends(_may(None))]
MayListModels = Annotated[Caller, Depends(_may("models"))]
MayManageKeys = Annotated[Caller, Depends(_may("keys"))]
MayRender = Annotated[Caller, Depends(_may("media"))]

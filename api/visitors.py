"""Who a visitor is, by a request's cookie and its client's network; and what is not for visitors."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from starlette.types import Scope

from api import idempotency
from api.resources import Resources
from domain import visitors
from domain.caller import Caller, Visitor
from domain.errors import RequestInvalid
from domain.house_account import HOUSE_ACCOUNT
from domain.visitors import SCOPES

_CALLER = "visitor"
_OF_AN_ACCOUNT = ("save", "conversation_id")


def visitor_of(scope: Scope) -> Caller | None:
    """Return the visitor who makes a request. None if this server has no visitors.

    Raises `CrossSite` for a message that another site makes a browser send.
    """
    resources: Resources = scope["app"].state.resources
    if not resources.visitors.rules.messages_day:
        return None
    caller: Caller | None = scope["state"].get(_CALLER)
    if caller is None:
        resources.cookie.require_same_origin(scope, by_cookie=False)
        caller = scope["state"][_CALLER] = Caller(HOUSE_ACCOUNT, SCOPES, _visitor(scope, resources))
    return caller


def _visitor(scope: Scope, resources: Resources) -> Visitor:
    now = datetime.now(UTC)
    visitor_id = resources.visitor_cookie.read(scope, now)
    if visitor_id is None:
        visitor_id = UUID(bytes=os.urandom(visitors.ID_BYTES))
        resources.visitor_cookie.issue(scope, visitor_id, now)
    network = resources.addresses.network_of(scope)
    return Visitor(visitor_id=visitor_id, network=network, limits=resources.visitors.rules.limits)


def require_for_visitors(body: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
    """Raises `RequestInvalid` for what needs an account: nothing of a visitor is saved."""
    fields = [name for name in _OF_AN_ACCOUNT if body.get(name) not in (None, False)]
    if idempotency.key_of(headers) is not None:
        fields.append(idempotency.HEADER)
    if fields:
        raise RequestInvalid(
            f"'{fields[0]}' needs an account: nothing is saved for visitors. Sign in, or leave it out.",
            param=fields[0],
            code="unsupported_parameter",
        )

"""`GET /`: what this is, and a first question without an account. Whoever is signed in goes on to the Playground."""

from starlette.responses import Response

from web.api import Fault
from web.visit import Page, Visit

_UNAUTHORIZED = 401


async def first_visit(visit: Visit) -> Response:
    if visit.account is not None:
        return visit.redirect("/chat")
    return visit.render("first-visit.html", {"allowance": await _allowance(visit)})


async def _allowance(visit: Visit) -> dict[str, object] | None:
    """Return the messages of a visitor's day. None: this server has no visitors."""
    try:
        left: dict[str, object] = (await visit.get("/api/chat/limit/"))["anonymous"]
    except Fault as fault:
        if fault.status == _UNAUTHORIZED:
            return None
        raise
    return left


PAGES = (Page("/", first_visit, needs_account=False),)

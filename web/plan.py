"""Plan and credits: what the account has, its plan, how credits get in here, and those that came in."""

from starlette.responses import Response

from web.api import Fault
from web.visit import Page, Visit

_LISTED = 25


async def plan(visit: Visit) -> Response:
    own = await visit.get("/api/billing/plan/")
    cursor = visit.request.query_params.get("cursor") or None
    try:
        grants = await visit.get("/api/billing/grants/", limit=_LISTED, cursor=cursor)
    except Fault as fault:
        if fault.param != "cursor":
            raise
        return visit.redirect("/plan")
    new = "new" in visit.request.query_params  # an account that was opened a moment ago, and begins without credits
    return visit.render("plan.html", {"own": own, "grants": grants, "first": cursor is None, "new": new})


PAGES = (Page("/plan", plan),)

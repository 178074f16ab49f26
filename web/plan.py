"""Plan and credits: what the account has, its plan, how credits get in here, and those that came in."""

from starlette.responses import Response

from web.visit import Page, Visit

_LISTED = 25


async def plan(visit: Visit) -> Response:
    own = await visit.get("/api/billing/plan/")
    cursor = visit.request.query_params.get("cursor") or None
    grants = await visit.get("/api/billing/grants/", limit=_LISTED, cursor=cursor)
    return visit.render("plan.html", {"own": own, "grants": grants, "first": cursor is None})


PAGES = (Page("/plan", plan),)

"""The log of webhook deliveries: all of them, and one with its attempts and the body that was sent."""

from datetime import timedelta

from starlette.responses import Response

from web.api import Fault
from web.ids import in_path
from web.numbers import moment
from web.visit import Page, Visit
from web.webhooks import ENDPOINTS, NAMES

TROUBLES = {
    "unreachable": "nobody answers at a public address",
    "tls": "its certificate is not accepted",
    "timeout": "no answer in 15 seconds",
    "connection": "the connection broke",
}
"""What became of an attempt that got no status."""
_DELIVERIES = f"{ENDPOINTS}deliveries/"
_PER_PAGE = 25
_NOTHING = 404
_SOON = timedelta(seconds=10)


async def deliveries(visit: Visit) -> Response:
    """All deliveries, also to the `webhook_url` of jobs."""
    page = await visit.get(_DELIVERIES, limit=_PER_PAGE, cursor=visit.request.query_params.get("cursor"))
    endpoints = {one["id"]: one for one in (await visit.get(ENDPOINTS))["data"]}
    return visit.render("webhook-deliveries.html", {"deliveries": page, "endpoints": endpoints, **NAMES})


async def delivery(visit: Visit) -> Response:
    return await _shown(visit)


async def send_again(visit: Visit) -> Response:
    """Send it again, and show what becomes of it. Why it cannot be sent stands on its page."""
    delivery_id = in_path(visit, "delivery_id")
    try:
        await visit.send("POST", f"{_DELIVERIES}{delivery_id}/redeliver/")
    except Fault as fault:
        if fault.status == _NOTHING:
            raise
        return await _shown(visit, fault)
    return visit.redirect(f"/webhooks/deliveries/{delivery_id}")


async def _shown(visit: Visit, fault: Fault | None = None) -> Response:
    """Return the page of a delivery. While an attempt is under way or due, the page loads itself again."""
    row = await visit.get(f"{_DELIVERIES}{in_path(visit, 'delivery_id')}/")
    endpoint = await visit.get(f"{ENDPOINTS}{row['endpoint_id']}/") if row["endpoint_id"] else None
    values = {"delivery": row, "endpoint": endpoint, "fault": fault, "troubles": TROUBLES, **NAMES}
    due = row["next_attempt_at"] if row["status"] == "pending" and fault is None else None
    headers = {"refresh": "2"} if due and moment(due) < visit.now + _SOON else {}
    return visit.render("webhook-delivery.html", values, status=fault.status if fault else 200, headers=headers)


PAGES = (
    Page("/webhooks/deliveries", deliveries),
    Page("/webhooks/deliveries/{delivery_id}", delivery),
    Page("/webhooks/deliveries/{delivery_id}/send-again", send_again, ("POST",)),
)

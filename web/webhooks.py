"""Webhooks: endpoints with their state, new ones whose secret is shown once, and the settings of the account."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.responses import Response

from domain.hosts import is_loopback
from web.api import Fault
from web.ids import in_path
from web.numbers import whole
from web.visit import Page, Visit

EVENTS = {
    "job.succeeded": "A job is finished",
    "job.failed": "A job failed",
    "job.cancelled": "A job was cancelled",
    "credits.low": "Your credits run low",
    "key.revoked": "An API key was revoked",
    "purge.completed": "Everything is erased",
    "webhook.disabled": "Another endpoint is off",
}
REASONS = {
    "owner": "You switched it off.",
    "operator": "Whoever runs this server switched it off.",
    "gone": "Your server answered 410: it wants no more.",
    "failing": "Every attempt of five days failed.",
}
"""Why an endpoint is off."""
ENDPOINTS = "/api/webhooks/"
_SETTINGS = f"{ENDPOINTS}settings/"
HTTPS_PORTS = (443, 8443)
_HOUR_SECONDS = 3600
_PER_PAGE = 25
NAMES: Mapping[str, object] = {"event_names": EVENTS, "reasons": REASONS}


async def webhooks(visit: Visit) -> Response:
    return await _listed(visit)


async def new_endpoint(visit: Visit) -> Response:
    """Show the form, or make an endpoint. The answer with its secret is the page itself: no redirect carries it."""
    if visit.request.method == "GET":
        return visit.render("webhook-form.html", _form_values({}))
    form = await visit.form()
    once = {"idempotency-key": str(form.get("once", ""))}
    try:
        response = await visit.send("POST", ENDPOINTS, _order(form), headers=once)
    except Fault as fault:
        return visit.render("webhook-form.html", _form_values(form, fault), status=fault.status)
    return await endpoint_page(visit, response.body, secret=response.body["secret"])


async def change(visit: Visit) -> Response:
    """Change the address, the description and the events of an endpoint."""
    endpoint = await visit.get(path_of(visit))
    if visit.request.method == "GET":
        return visit.render("webhook-form.html", _form_values(endpoint) | {"endpoint": endpoint})
    form = await visit.form()
    try:
        await visit.send("PATCH", path_of(visit), _order(form))
    except Fault as fault:
        values = _form_values(form, fault) | {"endpoint": endpoint}
        return visit.render("webhook-form.html", values, status=fault.status)
    return visit.redirect(f"/webhooks/{endpoint['id']}")


async def endpoint(visit: Visit) -> Response:
    return await endpoint_page(visit, await visit.get(path_of(visit)))


async def switch(visit: Visit) -> Response:
    enabled = (await visit.form()).get("enabled") == "on"
    changed = await visit.send("PATCH", path_of(visit), {"enabled": enabled})
    return visit.redirect(f"/webhooks/{changed.body['id']}")


async def test(visit: Visit) -> Response:
    """Send a test event, and show what becomes of it."""
    sent = await visit.send("POST", f"{path_of(visit)}test/")
    return visit.redirect(f"/webhooks/deliveries/{sent.body['id']}")


async def rotate(visit: Visit) -> Response:
    """Make a new secret. The answer with it is the page itself."""
    path = path_of(visit)
    overlap = await _overlap(visit)
    try:
        response = await visit.send("POST", f"{path}rotate-secret/", overlap)
    except Fault as fault:
        return await endpoint_page(visit, await visit.get(path), fault=fault)
    return await endpoint_page(visit, await visit.get(path), secret=response.body["secret"])


async def delete(visit: Visit) -> Response:
    """Ask once, then delete."""
    endpoint = await visit.get(path_of(visit))
    if visit.request.method == "GET":
        return visit.render("webhook-delete.html", {"endpoint": endpoint})
    await visit.send("DELETE", path_of(visit))
    return visit.redirect("/webhooks")


async def settings(visit: Visit) -> Response:
    """Set below which balance `credits.low` is sent. Empty: never."""
    written = str((await visit.form()).get("credits_low", "")).strip()
    try:
        await visit.send("PATCH", _SETTINGS, {"credits_low": whole(written) if written else None})
    except Fault as fault:
        return await _listed(visit, fault=fault, written=written)
    return visit.redirect("/webhooks")


async def rotate_account_secret(visit: Visit) -> Response:
    overlap = await _overlap(visit)
    try:
        response = await visit.send("POST", f"{_SETTINGS}rotate-secret/", overlap)
    except Fault as fault:
        return await _listed(visit, fault=fault)
    return await _listed(visit, secret=response.body["secret"])


async def endpoint_page(
    visit: Visit, endpoint: Mapping[str, Any], *, secret: str | None = None, fault: Fault | None = None
) -> Response:
    """Return the page of one endpoint: its state, its deliveries, and its forms."""
    cursor = visit.request.query_params.get("cursor")
    deliveries = await visit.get(f"{ENDPOINTS}{endpoint['id']}/deliveries/", limit=_PER_PAGE, cursor=cursor)
    values = {"endpoint": endpoint, "deliveries": deliveries, "secret": secret, "fault": fault, **NAMES}
    values["now"] = datetime.now(UTC)  # what this request has made is not in the future
    return visit.render("webhook.html", values, status=fault.status if fault else 200, secret=secret is not None)


async def _listed(
    visit: Visit, *, secret: str | None = None, fault: Fault | None = None, written: str | None = None
) -> Response:
    values = {
        "endpoints": (await visit.get(ENDPOINTS))["data"],
        "settings": await visit.get(_SETTINGS),
        "secret": secret,
        "fault": fault,
        "written": written,
        "now": datetime.now(UTC),
        **NAMES,
    }
    return visit.render("webhooks.html", values, status=fault.status if fault else 200, secret=secret is not None)


def url_error(url: str) -> str:
    """Say in plain words why the API refused an address, by its text alone: what its host is like is not told."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or HTTPS_PORTS[0]
    except ValueError:
        return "This is no address of a server."
    if parts.username is not None or parts.password is not None:
        return "The address must have no user name and no password."
    if "#" in url:
        return "The address must have no fragment, which is the part after #."
    if is_loopback(parts.hostname or ""):
        return "This is an address of the machine itself: only taken where YOUT_WEBHOOKS_ALLOW_LOOPBACK is true."
    if parts.scheme != "https":
        return "The address must begin with https://."
    if port not in HTTPS_PORTS:
        return "The port must be 443 or 8443."
    return "This address is inside a network, or names no server. It must be one that everybody can reach."


def path_of(visit: Visit) -> str:
    return f"{ENDPOINTS}{in_path(visit, 'endpoint_id')}/"


async def _overlap(visit: Visit) -> dict[str, object]:
    hours = whole(str((await visit.form()).get("overlap_hours", "24")).strip())
    return {"overlap_seconds": hours * _HOUR_SECONDS if isinstance(hours, int) else hours}


def _form_values(form: Mapping[str, Any] | FormData, fault: Fault | None = None) -> dict[str, object]:
    """Return what the form shows: nothing yet, an endpoint, or what was written and is at fault."""
    chosen = form.getlist("events") if isinstance(form, FormData) else form.get("events") or EVENTS
    written = {name: str(form.get(name) or "") for name in ("url", "description")}
    return {
        "written": written,
        "refused": url_error(written["url"]) if fault and fault.param == "url" else None,
        "chosen": chosen,
        "fault": fault,
        "once": uuid.uuid4(),
        "endpoint": None,
        "event_names": EVENTS,
    }


def _order(form: FormData) -> dict[str, object]:
    """Return what the API takes. Who chose all events gets those too that there will be."""
    events = [str(event) for event in form.getlist("events")]
    return {
        "url": str(form.get("url", "")).strip(),
        "description": str(form.get("description", "")).strip() or None,
        "events": None if set(events) == set(EVENTS) else events,
    }


PAGES = (
    Page("/webhooks", webhooks),
    Page("/webhooks/new", new_endpoint, ("GET", "POST")),
    Page("/webhooks/settings", settings, ("POST",)),
    Page("/webhooks/settings/rotate", rotate_account_secret, ("POST",)),
    Page("/webhooks/{endpoint_id}", endpoint),
    Page("/webhooks/{endpoint_id}/change", change, ("GET", "POST")),
    Page("/webhooks/{endpoint_id}/switch", switch, ("POST",)),
    Page("/webhooks/{endpoint_id}/test", test, ("POST",)),
    Page("/webhooks/{endpoint_id}/rotate", rotate, ("POST",)),
    Page("/webhooks/{endpoint_id}/delete", delete, ("GET", "POST")),
)

"""API keys: the list, a new one whose token is shown once, rotation and revocation."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.responses import Response

from domain.keys import DEFAULT_SCOPES
from web.api import Fault
from web.ids import as_part
from web.numbers import credits, whole
from web.visit import Page, Visit

SCOPES = {
    "chat": "Chats",
    "models": "List of models",
    "media": "Images, video, speech",
    "billing": "Balance and charges",
    "webhooks": "Webhooks",
    "share": "Shared chats",
    "keys": "API keys",
    "purge": "Erasing everything",
}
LIMITS = {
    "credits_day": "Credits a day",
    "credits_month": "Credits a month",
    "requests": "Requests a minute",
    "tokens": "Tokens a minute",
    "concurrent": "Calls at a time",
}
NEAR_PERCENT = 90
_KEYS = "/api/chat/keys/"
_HOUR_SECONDS = 3600


async def keys(visit: Visit) -> Response:
    return await _listed(visit)


async def new_key(visit: Visit) -> Response:
    """Show the form, or make a key with it. The answer with the token is the page itself: no redirect carries it."""
    if visit.request.method == "GET":
        return visit.render("key-new.html", _form_values({}))
    form = await visit.form()
    try:
        response = await visit.send("POST", _KEYS, _order(form), headers={"idempotency-key": str(form.get("once", ""))})
    except Fault as fault:
        return visit.render("key-new.html", _form_values(form, fault), status=fault.status)
    return await _listed(visit, response.body)


async def rotate(visit: Visit) -> Response:
    """Give a key a new token. The old one works for the hours that the form says."""
    form = await visit.form()
    hours = whole(str(form.get("grace_hours", "24")))
    grace = {"grace_seconds": hours * _HOUR_SECONDS if isinstance(hours, int) else hours}
    once = {"idempotency-key": str(form.get("once", ""))}
    response = await visit.send("POST", f"{_path(visit)}rotate/", grace, headers=once)
    return await _listed(visit, response.body, rotated=True)


async def revoke(visit: Visit) -> Response:
    await visit.send("POST", f"{_path(visit)}revoke/")
    return visit.redirect("/keys")


async def key(visit: Visit) -> Response:
    """One key: what it may do, what of its limits is used, and the forms that change, rotate and revoke it."""
    shown = await visit.get(_path(visit))
    if visit.request.method == "GET":
        return _key_page(visit, shown, _written(shown))
    form = await visit.form()
    try:
        await visit.send("PATCH", _path(visit), _changes(form, shown))
    except Fault as fault:
        return _key_page(visit, shown, form, fault)
    return visit.redirect(f"/keys/{shown['id']}")


def _key_page(
    visit: Visit, shown: Mapping[str, Any], form: Mapping[str, Any] | FormData, fault: Fault | None = None
) -> Response:
    values = _form_values(form, fault) | {"key": shown}
    return visit.render("key.html", values, status=fault.status if fault else 200)


def _written(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a key as its form has it."""
    limits = {name: credits(limit) for name, limit in shown["limits"].items() if limit}
    return {"name": shown["name"], "expires_on": (shown["expires_at"] or "")[:10], "scopes": shown["scopes"], **limits}


def _changes(form: FormData, shown: Mapping[str, Any]) -> dict[str, object]:
    """Return what the API takes. An empty limit is removed. An end on the same day is left as it is, to the second."""
    order = _order(form)
    if str(form.get("expires_on", "")).strip() == _written(shown)["expires_on"]:
        order.pop("expires_at")
    return order | {"limits": dict.fromkeys(LIMITS) | dict(order["limits"])}


def may_use(scopes: Collection[str]) -> str:
    """Name the scopes of a key, in their order."""
    return ", ".join(scope for scope in SCOPES if scope in scopes)


def near(used: int, limit: int) -> bool:
    """Tell whether so little is left of a limit that its owner should know."""
    return used * 100 >= limit * NEAR_PERCENT


async def _listed(visit: Visit, new: Mapping[str, Any] | None = None, *, rotated: bool = False) -> Response:
    rows = (await visit.get(_KEYS))["data"]
    values = {"keys": rows, "new": new, "rotated": rotated, **_NAMES}
    return visit.render("keys.html", values, secret=new is not None)


_NAMES = {"scope_names": SCOPES, "limit_names": LIMITS, "may_use": may_use, "near": near}


def _form_values(form: Mapping[str, Any] | FormData, fault: Fault | None = None) -> dict[str, object]:
    chosen = form.getlist("scopes") if isinstance(form, FormData) else form.get("scopes", DEFAULT_SCOPES)
    written = {name: form.get(name, "") for name in ("name", "expires_on", *LIMITS)}
    return {"written": written, "chosen": chosen, "fault": fault, "once": uuid.uuid4(), **_NAMES}


def _order(form: FormData) -> dict[str, Any]:
    """Return what the API takes, from what was written. What is no number goes on as it is: the API says so."""
    limits = {name: whole(text) for name in LIMITS if (text := str(form.get(name, "")).strip())}
    end = str(form.get("expires_on", "")).strip()
    return {
        "name": str(form.get("name", "")).strip(),
        "scopes": [str(scope) for scope in form.getlist("scopes")],
        "limits": limits,
        "expires_at": f"{end}T00:00:00Z" if end else None,
    }


def _path(visit: Visit) -> str:
    return f"{_KEYS}{as_part(visit.request.path_params['key_id'])}/"


PAGES = (
    Page("/keys", keys),
    Page("/keys/new", new_key, ("GET", "POST")),
    Page("/keys/{key_id}", key, ("GET", "POST")),
    Page("/keys/{key_id}/rotate", rotate, ("POST",)),
    Page("/keys/{key_id}/revoke", revoke, ("POST",)),
)

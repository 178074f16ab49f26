"""Privacy: what is stored, whether chats are kept, shared pages, and what a download has. `web/purges.py` erases."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from web.api import Fault
from web.ids import as_part
from web.purges import certificate
from web.visit import Page, Visit

Kind = Mapping[str, Any]

SHOWN_FIRST = (
    *("job_inputs", "idempotency_keys", "conversations", "messages", "shares", "outputs", "uploads"),
    *("usage_entries", "media_jobs", "webhook_endpoints"),
)
"""What people look for. The other kinds are folded."""
_SETTINGS = "/api/chat/settings/"
_SHARES = "/api/chat/share/"
_CONVERSATIONS = "/api/chat/conversations/"
_GONE = 404
_PER_PAGE = 25


async def privacy(visit: Visit) -> Response:
    stored, begun, settings, shares = await asyncio.gather(
        visit.get("/api/privacy/"),
        visit.get("/api/chat/purge/"),
        visit.get(_SETTINGS),
        visit.get(_SHARES, limit=_PER_PAGE, cursor=visit.request.query_params.get("shares")),
    )
    kinds: Sequence[Kind] = stored["data"]
    purges: Sequence[Kind] = begun["data"]
    by_name = {kind["name"]: kind for kind in kinds}
    completed = [purge for purge in purges if purge["status"] == "completed"]
    values = {
        "first": [by_name[name] for name in SHOWN_FIRST],
        "other": [kind for kind in kinds if kind["erased"] and kind["name"] not in SHOWN_FIRST],
        "stays": [kind for kind in kinds if not kind["erased"]],
        "settings": settings,
        "shares": shares,
        "running": [purge for purge in purges if purge["status"] == "running"],
        "completed": completed,
        "certificate": certificate(completed[0], kinds) if completed else None,
    }
    return visit.render("privacy.html", values)


async def history(visit: Visit) -> Response:
    """Keep chats from now on, or stop. Whoever stops, and has kept some, is asked what becomes of them."""
    form = await visit.form()
    keeps, choice = form.get("history") == "on", str(form.get("kept", ""))
    if not keeps and not choice:
        conversations = (await visit.get(_CONVERSATIONS, limit=1))["data"]
        if conversations:
            return visit.render("privacy-history.html")
    await visit.send("PATCH", _SETTINGS, {"keep_history": keeps})
    if not keeps and choice == "erase":
        await visit.send("DELETE", _CONVERSATIONS)
    return visit.redirect("/privacy#history")


async def take_back(visit: Visit) -> Response:
    """Take a shared page back. One that is gone already is no fault. Its slug is in the form: no address has it."""
    slug = str((await visit.form()).get("slug", ""))
    try:
        await visit.send("DELETE", f"{_SHARES}{as_part(slug)}/")
    except Fault as fault:
        if fault.status != _GONE:
            raise
    return visit.redirect("/privacy#shares")


async def export(visit: Visit) -> Response:
    kinds: Sequence[Kind] = (await visit.get("/api/privacy/"))["data"]
    return visit.render("privacy-export.html", {"kinds": {kind["name"]: kind for kind in kinds}})


PAGES = (
    Page("/privacy", privacy),
    Page("/privacy/history", history, ("POST",)),
    Page("/privacy/shares/take-back", take_back, ("POST",)),
    Page("/privacy/export", export),
)

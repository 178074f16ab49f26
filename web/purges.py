"""Erasing everything: the form that asks, a purge while it runs, and its receipt as a certificate."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response

from web.api import Fault
from web.ids import in_path
from web.visit import Page, Visit

_PURGES = "/api/chat/purge/"
STEPS = {
    "accepted": "Nothing older is shown any more",
    "cut": "Calls and jobs that run are ended",
    "keys": "The key that sealed your content is destroyed",
    "objects": "Files and job histories are deleted",
    "rows": "Rows are deleted",
    "ledger": "The books keep one sum of your calls",
    "completed": "All is counted again, and signed",
}
"""In their order."""
TITLES = {"objects": "Files in storage", "workflows": "Job histories", "sessions": "Browsers that were signed in"}
"""Of what receipts count beside tables."""
WHOLE = {"conversation": "One chat", "share": "One shared page", "job": "One job"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A receipt, as people read it."""

    purge: Mapping[str, Any] = field(repr=False)
    title: str
    rows: Sequence[tuple[str, int, int]] = field(repr=False)
    """What was erased: its title, how much, and how much is left."""
    absent: int
    """Kinds of which there was nothing."""
    balance: Mapping[str, int] | None = field(repr=False)
    signature: str = field(repr=False)
    """In groups of four characters."""


def certificate(purge: Mapping[str, Any], kinds: Sequence[Mapping[str, Any]]) -> Certificate:
    """Return the certificate of a purge that is completed. `kinds` are those of `GET /api/privacy/`."""
    receipt = purge["receipt"]
    titles = {kind["name"]: kind["title"] for kind in kinds} | TITLES
    deleted: Mapping[str, int] = receipt["deleted"]
    names = [name for name in titles if name in deleted] + [name for name in deleted if name not in titles]
    counted = [(titles.get(name, name), deleted[name], receipt["after"].get(name, 0)) for name in names]
    money = receipt.get("balance")
    part = next(iter(purge["only"] or {}), "")
    return Certificate(
        purge=purge,
        title=f"{WHOLE[part]} was erased" if part else "Everything was erased",
        rows=[row for row in counted if row[1] or row[2]],
        absent=sum(not row[1] and not row[2] for row in counted),
        balance=None if money is None else {name: int(amount) for name, amount in money.items()},
        signature=" ".join(receipt["signature"][at : at + 4] for at in range(0, len(receipt["signature"]), 4)),
    )


async def erase(visit: Visit) -> Response:
    """Ask for the word, with what goes and what stays; or begin."""
    if visit.request.method == "GET":
        return await _confirmation(visit)
    form = await visit.form()
    order = {"confirm": str(form.get("confirm", "")).strip().lower(), "sessions": form.get("sessions") == "on"}
    once = {"idempotency-key": str(form.get("once", ""))}
    try:
        begun = await visit.send("POST", _PURGES, order, headers=once)
    except Fault as fault:
        if fault.param == "confirm":
            return await _confirmation(visit, fault, sessions=order["sessions"] is True)
        raise
    response = visit.redirect(f"/privacy/purges/{begun.body['purge_id']}")
    response.headers["clear-site-data"] = '"cache", "storage"'  # the chat and the prompts that a tab remembers
    return response


async def _confirmation(visit: Visit, fault: Fault | None = None, *, sessions: bool = False) -> Response:
    kinds = (await visit.get("/api/privacy/"))["data"]
    values = {
        "goes": [kind for kind in kinds if kind["erased"] and kind["count"]],
        "fault": fault,
        "sessions": sessions,
        "once": uuid.uuid4(),
    }
    return visit.render("privacy-erase.html", values, status=fault.status if fault else 200)


async def purge(visit: Visit) -> Response:
    """One purge: its steps while it runs, and then its receipt. Without a script, the page loads itself again."""
    followed = await visit.get(f"{_PURGES}{in_path(visit, 'purge_id')}/")
    if followed["status"] == "running":
        step = list(STEPS).index(followed["step"])
        return visit.render("purge-running.html", {"purge": followed, "steps": STEPS, "reached": step})
    kinds = (await visit.get("/api/privacy/"))["data"]
    return visit.render("purge.html", {"certificate": certificate(followed, kinds)})


async def receipt(visit: Visit) -> Response:
    """Download the receipt as it was signed."""
    purge_id = in_path(visit, "purge_id")
    followed = await visit.get(f"{_PURGES}{purge_id}/")
    if followed["receipt"] is None:
        raise Fault(404, "There is no receipt yet.")
    headers = {
        "content-disposition": f'attachment; filename="yout-receipt-{purge_id}.json"',
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
    }
    content = orjson.dumps(followed["receipt"], option=orjson.OPT_INDENT_2)
    return Response(content, headers=headers, media_type="application/json")


PAGES = (
    Page("/privacy/erase", erase, ("GET", "POST")),
    Page("/privacy/purges/{purge_id}", purge),
    Page("/privacy/purges/{purge_id}/receipt.json", receipt),
)

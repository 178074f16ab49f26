"""The statement of a month: what the account had, each movement, and what it has then."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from web import csv_files, periods
from web.activity import Links
from web.api import Fault
from web.csv_files import Cell
from web.receipts import KINDS
from web.visit import Page, Visit

_STATEMENT = "/api/billing/statement/"
_LISTED = 25
_COLUMNS = ("created_at", "kind", "charge", "model", "note", "balance", "held")


async def statement(visit: Visit) -> Response:
    params = visit.request.query_params
    month = periods.month(params.get("month", ""), visit.now)
    cursor = params.get("cursor") or None
    links = Links({"month": month.id})
    try:
        page = await visit.get(_STATEMENT, limit=_LISTED, cursor=cursor, **month.query)
    except Fault as fault:
        if cursor is None or fault.param != "cursor":
            raise
        return visit.redirect(links.to("/activity/statement"))
    values = {
        "month": month,
        "present": periods.month("", visit.now),
        "statement": page,
        "first": cursor is None,
        "kinds": KINDS,
        "links": links,
    }
    return visit.render("statement.html", values)


async def statement_csv(visit: Visit) -> Response:
    """The same as the page: both balances, and each movement between them."""
    month = periods.month(visit.request.query_params.get("month", ""), visit.now)
    first = True

    def rows(page: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
        nonlocal first
        if first:
            yield _COLUMNS
            yield _balance(page["from"], "opening", page["opening"])
        first = False
        for entry in page["data"]:
            yield tuple(entry[name] for name in _COLUMNS)
        if not page["has_more"]:
            yield _balance(page["to"], "closing", page["closing"])

    return await csv_files.answer(visit, f"statement-{month.id}.csv", _STATEMENT, month.query, rows)


def _balance(at: str, kind: str, amounts: Mapping[str, int]) -> Sequence[Cell]:
    return at, kind, None, None, None, amounts["balance"], amounts["held"]


PAGES = (Page("/activity/statement", statement), Page("/activity/statement.csv", statement_csv))

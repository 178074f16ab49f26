"""Activity: what was charged in a period, the charges, and one of them explained."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from web import chart, csv_files, periods
from web.api import Fault
from web.csv_files import Cell
from web.ids import as_part
from web.numbers import credits
from web.periods import PERIODS, Period
from web.receipts import Explained, explain
from web.visit import Page, Visit

SPLITS = {"model": "Model", "key": "Key"}
WITHOUT_KEY = "Playground and Studio"
"""Whose calls have no key: those of a signed-in browser."""
OTHERS = "All others"
MAX_DAYS = 100
_CHARGES = "/api/billing/charges/"
_USAGE = "/api/billing/usage/"
_LISTED = 25
_NOT_FOUND, _BAD_REQUEST = 404, 400
_COLUMNS = (
    *("id", "kind", "model", "key", "state", "created_at", "closed_at", "held", "charged", "written_off", "refunded"),
    *("input_tokens", "output_tokens", "source"),
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of this page that differ from the present one in some things."""

    query: Mapping[str, str] = field(repr=False)

    def to(self, path: str = "/activity", **changed: str | None) -> str:
        """Return an address. What is None is left out."""
        pairs = {name: value for name, value in {**self.query, **changed}.items() if value}
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def charge(self, charge: str) -> str:
        return f"/activity/charges/{as_part(charge)}"


@dataclass(frozen=True, slots=True)
class Charges:
    rows: Sequence[Row] = field(repr=False)
    next: str | None
    fault: str = field(default="", repr=False)
    """Why the filter or the page that was asked for shows nothing."""


async def activity(visit: Visit) -> Response:
    params = visit.request.query_params
    period = periods.period(params, visit.now, MAX_DAYS)
    by = params.get("by", "model") if params.get("by") in SPLITS else "model"
    own = {name: params.get(name, "") for name in ("days", "from", "to", "by", "model", "key")}
    usage, (listed, explained) = await asyncio.gather(
        visit.get(_USAGE, split_by=by, top=chart.MAX_SERIES, **period.query), _charges(visit, period)
    )
    values = {
        "period": period,
        "by": by,
        "total": usage["total"],
        "returned": usage["returned"],
        "chart": chart.chart(usage, period.days, [series_name(group) for group in usage["groups"]]),
        "charges": listed,
        "explained": explained,
        "models": _choices(usage["models"], "model", own["model"]),
        "keys": _choices(usage["keys"], "key", own["key"]),
        "own": own,
        "links": Links(own if not period.fault else {**own, "from": "", "to": ""}),
        "first": not params.get("cursor"),
        "chosen": bool(params.get("charge")),
        **_NAMES,
    }
    return visit.render("activity.html", values, status=_BAD_REQUEST if period.fault or listed.fault else 200)


async def charge(visit: Visit) -> Response:
    """One charge explained: a page of its own, of which a script shows the receipt beside the list."""
    path = f"{_CHARGES}{as_part(visit.request.path_params['charge_id'])}/"
    try:
        receipt = await visit.get(path)
    except Fault as fault:
        if fault.status != _NOT_FOUND:
            raise
        return visit.render("charge.html", {"explained": None, "fault": fault}, status=_NOT_FOUND)
    return visit.render("charge.html", {"explained": explain(receipt), "fault": None})


async def charges_csv(visit: Visit) -> Response:
    """The charges of the period, with the filters of the page."""
    params = visit.request.query_params
    period = periods.period(params, visit.now, MAX_DAYS)
    query = _filters(params) | period.query
    first = True

    def rows(page: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
        nonlocal first
        if first:
            yield _COLUMNS
        first = False
        yield from map(_cells, page["data"])

    try:
        return await csv_files.answer(visit, f"charges-{period.since}-{period.last}.csv", _CHARGES, query, rows)
    except Fault as fault:
        if fault.status != _BAD_REQUEST:
            raise
        return visit.redirect(Links(dict(params)).to())  # the page says what cannot be


def series_name(group: Row) -> str:
    if group.get("others"):
        return OTHERS
    if "model" in group:
        return str(group["model_name"] or group["model"])
    return str(group["key_name"] or WITHOUT_KEY)


async def _charges(visit: Visit, period: Period) -> tuple[Charges, Explained | None]:
    """Return a page of charges, and the one that is explained beside it."""
    params = visit.request.query_params
    query = _filters(params) | period.query
    try:
        page = await visit.get(_CHARGES, limit=_LISTED, cursor=params.get("cursor") or None, **query)
    except Fault as fault:
        if fault.status != _BAD_REQUEST:
            raise
        return Charges([], None, fault.message), None
    return Charges(page["data"], page["next"]), await _explained(visit, page["data"])


def _filters(params: Mapping[str, str]) -> dict[str, str]:
    named = {"model": params.get("model"), "key_id": params.get("key")}
    return {name: value for name, value in named.items() if value}


def _choices(groups: Sequence[Row], by: str, chosen: str) -> Mapping[str, str]:
    """Return what a list can be filtered by, with names: the models or keys of the period, and the one that it is."""
    if by == "model":
        choices = {group["model"]: series_name(group) for group in groups}
    else:
        choices = {group["key_id"]: group["key_name"] or "A key that is gone" for group in groups if group["key_id"]}
    return choices if not chosen or chosen in choices else {**choices, chosen: chosen}


async def _explained(visit: Visit, rows: Sequence[Row]) -> Explained | None:
    """Explain the charge that the address names, or else the latest of the list. One that is gone is none."""
    wanted = visit.request.query_params.get("charge") or next((row["id"] for row in rows), None)
    if wanted is None:
        return None
    try:
        return explain(await visit.get(f"{_CHARGES}{as_part(wanted)}/"))
    except Fault as fault:
        if fault.status != _NOT_FOUND:
            raise
        return None


def used_text(row: Row) -> str:
    """Say what a charge of a list has used, or what became of it."""
    usage = row["usage"]
    if row["state"] == "open":
        return "running"
    if row["state"] == "void":
        return "nothing"
    if usage is None or usage["source"] == "flat":
        return str(row["kind"])
    return f"{credits(usage['input_tokens'])} in, {credits(usage['output_tokens'])} out"


def _cells(row: Row) -> Sequence[Cell]:
    amounts, usage = row["credits"], row["usage"] or {}
    return (
        *(row[name] for name in ("id", "kind", "model", "key_name", "state", "created_at", "closed_at")),
        *(amounts[name] for name in ("held", "charged", "written_off", "refunded")),
        *(usage.get(name) for name in ("input_tokens", "output_tokens", "source")),
    )


_NAMES = {"periods": PERIODS, "splits": SPLITS, "used_text": used_text, "without_key": WITHOUT_KEY}

PAGES = (
    Page("/activity", activity),
    Page("/activity/charges.csv", charges_csv),
    Page("/activity/charges/{charge_id}", charge),
)

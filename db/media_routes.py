"""Where a media job may go, and what the provider bills for it there, in its row."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from db.media_tables import MediaJobRow
from domain.media import JobRoute
from domain.money import COST_PLACES
from domain.pricing import Share


def plain(routes: Iterable[JobRoute]) -> list[dict[str, Any]]:
    return [route.model_dump(mode="json") for route in routes]


def decimal(billionths: int | None) -> Decimal | None:
    return None if billionths is None else Decimal(billionths).scaleb(-COST_PLACES)


def change(row: MediaJobRow, routes: Sequence[JobRoute], *, again: bool) -> None:
    """Go on with the first of the routes. With `again` the one so far becomes the last of them."""
    then, *others = routes
    if again:
        others.append(JobRoute(provider=row.provider, model=row.provider_model or "", cost=_cost(row)))
    row.provider, row.provider_model, row.provider_cost = then.provider, then.model, decimal(then.cost)
    row.routes, row.slot_wanted_at = plain(others), None


def reduce_cost(row: MediaJobRow, share: Share) -> int | None:
    """Keep the share of what the provider bills, and return it in billionths of a credit. None: it is not known."""
    whole = _cost(row)
    cost = None if whole is None else share.of(whole)
    row.provider_cost = decimal(cost)
    return cost


def _cost(row: MediaJobRow) -> int | None:
    return None if row.provider_cost is None else int(row.provider_cost.scaleb(COST_PLACES))

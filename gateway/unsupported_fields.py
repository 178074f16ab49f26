"""Remembers, by route, what its provider turned out not to take: one call an hour is answered at the second try.

It is a memory of field names alone: names of the adapters' own lists, for routes of the catalog. What one account's
calls have shown is left out of its own calls: it may be due to its values. What two have shown is left out of all.
"""

import time
from collections.abc import Callable, Hashable

from domain.catalog import Route
from domain.records import record

REMEMBERED_SECONDS = 3600.0
MAX_ROUTES = 4096
_NONE: frozenset[str] = frozenset()


@record
class _Field:
    until: float
    account: Hashable
    """Whose call has shown it."""
    everybodys: bool


class UnsupportedFields:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_route: dict[tuple[str, str], dict[str, _Field]] = {}

    def of(self, route: Route, account: Hashable = None) -> frozenset[str]:
        """Return the fields that are to be left out on this route. Without an account: of everybody's calls."""
        if not self._by_route or not (fields := self._by_route.get(route.key)):
            return _NONE
        now = self._clock()
        return frozenset(
            name
            for name, each in fields.items()
            if now < each.until and (each.everybodys or (account is not None and account == each.account))
        )

    def remember(self, route: Route, names: frozenset[str], account: Hashable) -> None:
        """Add fields without which the route has answered this account. An hour later, they are tried again."""
        if names <= self.of(route, account):
            return
        now = self._clock()
        fields = self._by_route.pop(route.key, {})
        for name in names:
            before = fields.get(name)
            known = before is not None and now < before.until
            if not (known and before and (before.everybodys or before.account == account)):
                fields[name] = _Field(now + REMEMBERED_SECONDS, account, everybodys=known)
        if len(self._by_route) >= MAX_ROUTES:
            del self._by_route[next(iter(self._by_route))]
        self._by_route[route.key] = fields

"""Remembers, by route, what its provider turned out not to take: one call an hour is answered at the second try.

It is a memory of field names alone: names of the adapters' own lists, for routes of the catalog.
"""

import time
from collections.abc import Callable

from domain.catalog import Route

REMEMBERED_SECONDS = 3600.0
MAX_ROUTES = 4096
_NONE: frozenset[str] = frozenset()


class UnsupportedFields:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_route: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}

    def of(self, route: Route) -> frozenset[str]:
        """Return the fields that are to be left out on this route."""
        if not self._by_route:
            return _NONE
        until, names = self._by_route.get(route.key, (0.0, _NONE))
        return names if self._clock() < until else _NONE

    def remember(self, route: Route, names: frozenset[str]) -> None:
        """Add fields without which the route has answered. An hour later, they are tried again."""
        key = route.key
        known = self.of(route)
        if names <= known:
            return
        self._by_route.pop(key, None)
        if len(self._by_route) >= MAX_ROUTES:
            del self._by_route[next(iter(self._by_route))]
        self._by_route[key] = (self._clock() + REMEMBERED_SECONDS, known | names)

"""Finds a route by the beginning of its path. FastAPI compares a path with that of every route, twice."""

from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send


class RouteIndex(BaseRoute):
    """Comes before the other routes, and leaves to them what none of its own serves: they know why."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes: dict[str, list[Route]] = defaultdict(list)
        for route in routes:
            if isinstance(route, Route):
                self._routes[route.path.partition("{")[0]].append(route)
        self._longest = max(map(len, self._routes), default=0)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Find the route with the longest beginning that has no parameter."""
        path: str = scope["path"]
        end = len(path) if len(path) <= self._longest else path.rfind("/", 0, self._longest) + 1
        while end > 0:
            for route in self._routes.get(path[:end], ()):
                match, parts = route.matches(scope)
                if match is Match.FULL:
                    return match, {**parts, "route": route}
            end = path.rfind("/", 0, end - 1) + 1
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)

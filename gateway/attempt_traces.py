"""What the gateway tells a trace of a chat call's attempts. Off: nothing is made and nothing called."""

from typing import Protocol

from domain.catalog import Route
from domain.errors import GatewayError


class AttemptTrace(Protocol):
    """Of one call. At most one attempt is under way; each of the last three ends it."""

    def began(self, route: Route, pause: float) -> None: ...

    def output_began(self) -> None: ...

    def failed(self, error: GatewayError) -> None: ...

    def succeeded(self, output_tokens: int) -> None: ...

    def abandoned(self) -> None: ...


class CallTraces(Protocol):
    def call(self) -> AttemptTrace:
        """Return the trace of a call of the request that this task serves."""

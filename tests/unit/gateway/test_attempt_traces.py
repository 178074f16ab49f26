"""What a trace is told of a call's attempts: each from its beginning to its end, and no end twice."""

import pytest

from domain.catalog import Route
from domain.errors import GatewayError, UpstreamRefused, UpstreamTimeout
from gateway.routing import Router
from tests.support.doubles.chat_calls import route


class Noted:
    """Implements `gateway.attempt_traces.AttemptTrace`."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def began(self, route: Route, pause: float) -> None:
        self.events.append(f"began {route.provider.name}")

    def output_began(self) -> None:
        self.events.append("output")

    def failed(self, error: GatewayError) -> None:
        self.events.append(f"failed {error.code}")

    def succeeded(self, output_tokens: int) -> None:
        self.events.append(f"succeeded {output_tokens}")

    def abandoned(self) -> None:
        self.events.append("abandoned")


@pytest.mark.parametrize("answered", [True, False])
def test_each_attempt_is_told_from_its_beginning_to_its_end(answered: bool) -> None:
    without_a_field = UpstreamRefused()
    without_a_field.unsupported = frozenset({"seed"})
    attempts = Router().attempts([route("one"), route("two")], lambda _route, error: bool(error.unsupported))
    attempts.trace = noted = Noted()
    attempts.next()
    attempts.after(without_a_field)
    attempts.after(UpstreamTimeout())
    if answered:
        attempts.output_began()
        attempts.succeeded(7)
    attempts.abandoned()
    tried = ["began one", "failed invalid_value", "began one", "failed upstream_timeout", "began two"]
    assert noted.events == [*tried, *(["output", "succeeded 7"] if answered else ["abandoned"])]

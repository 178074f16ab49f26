"""A span for each attempt of a chat call at a provider. Implements `gateway.attempt_traces`."""

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.util.types import AttributeValue

from domain.catalog import Route
from domain.errors import GatewayError, UpstreamError
from tracing import names


class CallSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def call(self) -> "CallSpan":
        return CallSpan(self._tracer, get_current_span())


class CallSpan:
    """The attempts of one call, under the span of its request. Attempts happen in any task, and in callbacks."""

    def __init__(self, tracer: Tracer, request: Span) -> None:
        self._tracer, self._request = tracer, request
        self._parent = set_span_in_context(request)
        self._attempt: Span | None = None
        self._count = 0
        self._error: str | None = None

    def began(self, route: Route, pause: float) -> None:
        self._count += 1
        values: dict[str, AttributeValue] = {
            names.PROVIDER: route.provider.name,
            names.PROVIDER_MODEL: route.model,
            names.MODEL: route.serves,
            names.ATTEMPT: self._count,
        }
        if self._error is not None:
            more: dict[str, AttributeValue] = {names.ERROR: self._error, names.PAUSE: pause}
            self._request.add_event("next attempt", {**values, **more})
        self._attempt = self._tracer.start_span("provider attempt", self._parent, SpanKind.CLIENT, values)

    def output_began(self) -> None:
        if self._attempt is not None:
            self._attempt.add_event("first output")

    def failed(self, error: GatewayError) -> None:
        self._error = error.code
        if (span := self._attempt) is not None:
            span.set_attribute(names.ERROR, error.code)
            if isinstance(error, UpstreamError) and error.status is not None:
                span.set_attribute(names.PROVIDER_STATUS, error.status)
            span.set_status(Status(StatusCode.ERROR))
        self._end()

    def succeeded(self, output_tokens: int) -> None:
        if self._attempt is not None:
            self._attempt.set_attribute(names.OUTPUT_TOKENS, output_tokens)
        self._end()

    def abandoned(self) -> None:
        if self._attempt is not None:
            self._attempt.set_attribute(names.STATE, "abandoned")
        self._end()

    def _end(self) -> None:
        span, self._attempt = self._attempt, None
        if span is not None:
            span.end()

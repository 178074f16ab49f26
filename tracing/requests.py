"""One span for each HTTP request. Implements `api.request_traces`."""

from contextvars import Token

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from api.request_traces import Headers
from domain.current_request import TRACEPARENT
from tracing import names
from tracing.parents import read, written


class RequestSpans:
    def __init__(self, tracer: Tracer, *, joins: bool) -> None:
        """`joins`: a request with a valid `traceparent` belongs to its caller's trace. Its `tracestate` is dropped."""
        self._tracer, self._joins = tracer, joins

    def begin(self, method: str, headers: Headers) -> "RequestSpan":
        parent = _parent(headers) if self._joins else Context()
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, {names.METHOD: method})
        return RequestSpan(span, method)


class RequestSpan:
    """It is the present span until it ends. The task that began it ends it."""

    def __init__(self, span: Span, method: str) -> None:
        self._span, self._method = span, method
        self._token: Token[Context] = attach(set_span_in_context(span))
        self._outer = TRACEPARENT.set(written(span))

    def end(self, route: str, status: int | None, request_id: str, wire: str | None) -> None:
        span = self._span
        span.update_name(f"{self._method} {route}")
        span.set_attributes({names.ROUTE: route, names.REQUEST_ID: request_id})
        if wire is not None:
            span.set_attribute(names.WIRE, wire)
        if status is not None:
            span.set_attribute(names.STATUS, status)
        if status is None or status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        TRACEPARENT.reset(self._outer)
        detach(self._token)


def _parent(headers: Headers) -> Context:
    values = [value for name, value in headers if name == b"traceparent"]
    return read(values[0].decode("latin-1")) if len(values) == 1 else Context()

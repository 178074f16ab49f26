"""A span's place in its trace as text, in W3C's form `traceparent`: two ids and a flag. `tracestate` is dropped."""

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

W3C = TraceContextTextMapPropagator()
_NAME = "traceparent"


def written(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    W3C.inject(carrier, set_span_in_context(span, Context()))
    return carrier.get(_NAME)


def read(traceparent: str) -> Context:
    """Return a context whose span has this place, or an empty one if the text is not valid."""
    parent = get_current_span(W3C.extract({_NAME: traceparent}, Context())).get_span_context()
    return set_span_in_context(NonRecordingSpan(parent), Context()) if parent.is_valid else Context()

"""Nothing leaves with a span but what its allow-list has: whoever recorded it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AttributeValue

from tracing import names
from tracing.allowed import AllowedSpans

TEXT = "what the caller asked for"


class Noted:
    """Stands for the log of the operator's faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def report(self, what: str, *, where: str, remedy: str) -> None:
        self.faults.append(what)

    def clear(self, where: str) -> None:
        self.faults.append("mended")


class Failing(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE


def provider(exporter: SpanExporter, faults: Noted) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(AllowedSpans(exporter, faults)))
    return provider


def fail(tracer: Tracer, parent: Context, values: Mapping[str, AttributeValue]) -> None:
    with tracer.start_as_current_span("provider attempt", parent, attributes=values) as span:
        span.add_event("next attempt", {names.ATTEMPT: 2, "body": TEXT})
        span.set_status(Status(StatusCode.ERROR, TEXT))
        raise ValueError(TEXT)


def test_texts_are_left_out_and_ids_and_counts_stay() -> None:
    memory, faults = InMemorySpanExporter(), Noted()
    tracer = provider(memory, faults).get_tracer("test")
    caller = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("vendor", "word")]))
    values: dict[str, AttributeValue] = {names.MODEL: "lab/model-1", names.OUTPUT_TOKENS: 7, names.PROVIDER: TEXT}
    with suppress(ValueError):
        fail(tracer, set_span_in_context(NonRecordingSpan(caller)), {**values, "prompt": "word", "url.full": "x"})
    with tracer.start_as_current_span(f"named, by {TEXT!r}"):
        pass
    span_, hidden = memory.get_finished_spans()
    assert dict(span_.attributes or {}) == {names.MODEL: "lab/model-1", names.OUTPUT_TOKENS: 7}
    events = [(event.name, dict(event.attributes or {})) for event in span_.events]
    assert events == [("next attempt", {names.ATTEMPT: 2}), ("exception", {"exception.type": "ValueError"})]
    assert (span_.status.status_code, span_.status.description) == (StatusCode.ERROR, None)
    assert span_.parent is not None
    assert span_.parent.trace_id == 1
    assert not span_.parent.trace_state
    assert not span_.context.trace_state
    assert hidden.name == "span"
    assert faults.faults == ["mended", "mended"]


def test_a_receiver_that_is_away_is_a_fault_for_the_operator() -> None:
    faults = Noted()
    with provider(Failing(), faults).get_tracer("test").start_as_current_span("one"):
        pass
    assert faults.faults == ["traces are lost"]

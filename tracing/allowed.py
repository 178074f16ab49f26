"""What of a span leaves this process: attributes of an allow-list, with values that look like ids, codes and counts.

It is applied to every span at the export, whoever made it: a library records the text of an exception, which may quote
a request, a key or a vendor's answer.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, Status, TraceState
from opentelemetry.util.types import Attributes, AttributeValue

from tracing import names

ATTRIBUTES = frozenset(
    {
        names.METHOD,
        names.ROUTE,
        names.STATUS,
        names.ERROR,
        names.REQUEST_ID,
        names.WIRE,
        names.MODEL,
        names.KIND,
        names.PROVIDER,
        names.PROVIDER_MODEL,
        names.PROVIDER_STATUS,
        names.ATTEMPT,
        names.PAUSE,
        names.INPUT_TOKENS,
        names.OUTPUT_TOKENS,
        names.HELD,
        names.CHARGED,
        names.JOB_ID,
        names.DELIVERY_ID,
        names.STATE,
        names.PERCENT,
        # Of Temporal's library.
        "temporalWorkflowID",
        "temporalRunID",
        "temporalActivityID",
        "temporalUpdateID",
        # Of the SDK's record of an exception: its type, and neither its text nor its traceback.
        "exception.type",
    }
)
"""No prompt, answer, key, address, header, text of a vendor or of an exception; no account, either."""
_VALUE = re.compile(r"[\w.:/{}@+~-]{1,200}", re.ASCII)
_NAME = re.compile(r"[\w.:/{} -]{1,200}", re.ASCII)
_HIDDEN = "span"


class Faults(Protocol):
    def report(self, what: str, *, where: str, remedy: str) -> None: ...

    def clear(self, where: str) -> None: ...


class AllowedSpans(SpanExporter):
    """Exports by another exporter what is allowed. What that one cannot deliver is a fault for the operator."""

    def __init__(self, exporter: SpanExporter, faults: Faults) -> None:
        self._exporter, self._faults = exporter, faults

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export([allowed(span) for span in spans])
        where = "OTEL_EXPORTER_OTLP_ENDPOINT"
        if result is SpanExportResult.SUCCESS:
            self._faults.clear(where)
        else:
            remedy = (
                "see that its receiver runs and takes OTLP over HTTP, or unset it; calls and jobs do not wait for it"
            )
            self._faults.report("traces are lost", where=where, remedy=remedy)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def allowed(span: ReadableSpan) -> ReadableSpan:
    """Return the span without what is not allowed: the text of its status, and what a caller's `tracestate` had."""
    return ReadableSpan(
        name=span.name if _NAME.fullmatch(span.name) else _HIDDEN,
        context=_plain(span.context),
        parent=_plain(span.parent),
        resource=span.resource,
        attributes=_allowed(span.attributes),
        events=[
            Event(event.name if _NAME.fullmatch(event.name) else _HIDDEN, _allowed(event.attributes), event.timestamp)
            for event in span.events
        ],
        links=[Link(context) for link in span.links if (context := _plain(link.context)) is not None],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _plain(context: SpanContext | None) -> SpanContext | None:
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, TraceState())


def _allowed(attributes: Attributes) -> Mapping[str, AttributeValue]:
    return {name: value for name, value in (attributes or {}).items() if name in ATTRIBUTES and _is_plain(value)}


def _is_plain(value: AttributeValue) -> bool:
    return bool(_VALUE.fullmatch(value)) if isinstance(value, str) else isinstance(value, bool | int | float)

"""Makes what exports traces, from the `OTEL_*` variables, which OpenTelemetry's library reads itself."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Tracer, format_trace_id, get_current_span
from temporalio.client import Interceptor

from activities.submissions import Providers
from domain.media import MediaRequest
from providers.base import MediaProvider
from tracing import steps
from tracing.allowed import AllowedSpans, Faults
from tracing.calls import CallSpans
from tracing.proxies import traced
from tracing.requests import RequestSpans
from tracing.start import Untraced
from tracing.workflows import WorkflowSpans

T = TypeVar("T")

LAST_EXPORT_SECONDS = 3.0
"""How long a process that ends waits for a receiver. What it has not taken by then is lost."""


class Traces(Untraced):
    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def requests(self, *, joins: bool) -> RequestSpans:
        return RequestSpans(self.tracer, joins=joins)

    def calls(self) -> CallSpans:
        return CallSpans(self.tracer)

    def interceptors(self) -> list[Interceptor]:
        return [WorkflowSpans(self.tracer)]

    def ledger(self, ledger: T) -> T:
        return traced(ledger, self.tracer, steps.LEDGER)

    def jobs(self, jobs: T) -> T:
        return traced(jobs, self.tracer, steps.JOBS)

    def deliveries(self, deliveries: T) -> T:
        return traced(deliveries, self.tracer, steps.DELIVERIES)

    def providers(self, providers: Providers) -> Providers:
        def named(name: str, request: MediaRequest | None = None, /) -> MediaProvider:
            return traced(providers(name, request), self.tracer, steps.media_provider(name))

        return named

    def log_ids(self) -> Mapping[str, str]:
        context = get_current_span().get_span_context()
        return {"trace_id": format_trace_id(context.trace_id)} if context.is_valid else {}


@contextmanager
def exported(service: str, faults: Faults, exporter: Callable[[], SpanExporter] = OTLPSpanExporter) -> Iterator[Traces]:
    """Export the spans of this process until the block ends.

    `service` is the name of this process unless `OTEL_SERVICE_NAME` is another.
    """
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)  # its lines quote what a receiver answers
    resource = Resource({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(AllowedSpans(exporter(), faults)))
    try:
        yield Traces(provider.get_tracer("yout"))
    finally:
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(LAST_EXPORT_SECONDS)

"""The span of a request: whose trace it belongs to, and what is a part of it."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id, get_current_span

from domain.errors import ServiceUnavailable
from domain.operations import Renew
from domain.results import Renewed
from gateway.ids import new_id
from tracing import names, steps
from tracing.proxies import traced
from tracing.requests import RequestSpans

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


class Ledger:
    def __init__(self) -> None:
        self.available = True

    async def ask(self, operation: Renew) -> Renewed:
        if not self.available:
            raise ServiceUnavailable
        return Renewed(None)


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(memory: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return provider


@pytest.mark.parametrize(
    ("joins", "values", "joined"),
    [
        (True, [PARENT], True),
        (False, [PARENT], False),
        (True, [], False),
        (True, [PARENT, PARENT], False),
        (True, [b"00-0-0-01"], False),
        (True, [b"\xff" * 55], False),
    ],
)
def test_a_request_joins_its_callers_trace_where_that_is_allowed(
    provider: TracerProvider, memory: InMemorySpanExporter, joins: bool, values: list[bytes], joined: bool
) -> None:
    headers = [(b"tracestate", b"vendor=word"), *((b"traceparent", value) for value in values)]
    request = RequestSpans(provider.get_tracer("test"), joins=joins).begin("POST", headers)
    request.end("/v1/chat/completions", 200, "req_1", "chat")
    (span,) = memory.get_finished_spans()
    assert span.name == "POST /v1/chat/completions"
    assert (format_trace_id(span.context.trace_id) == TRACE) is joined
    assert not span.context.trace_state
    assert not get_current_span().get_span_context().is_valid


async def test_a_step_is_a_span_of_its_request_and_none_outside_of_one(
    provider: TracerProvider, memory: InMemorySpanExporter
) -> None:
    tracer, inner = provider.get_tracer("test"), Ledger()
    ledger = traced(inner, tracer, steps.LEDGER)
    renew = Renew(new_id(), 7)
    await ledger.ask(renew)
    assert (memory.get_finished_spans(), ledger.available) == ((), True)
    request = RequestSpans(tracer, joins=False).begin("POST", [])
    await ledger.ask(renew)
    inner.available = False
    with pytest.raises(ServiceUnavailable):
        await ledger.ask(renew)
    request.end("/v1/responses", 503, "req_1", None)
    renewed, failed, whole = memory.get_finished_spans()
    assert {renewed.name, failed.name} == {"ledger renew"}
    assert (failed.attributes or {})[names.ERROR] == ServiceUnavailable.code
    assert failed.events == ()
    assert {span.parent.span_id for span in (renewed, failed) if span.parent} == {whole.context.span_id}

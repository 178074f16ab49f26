"""Spans of workflows and activities, by Temporal's own library, as parts of the request's trace.

Headers of workflow and activity carry `traceparent`, which is two ids and a flag, and nothing else: no `tracestate` and
no baggage.
"""

from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.worker import WorkflowInboundInterceptor, WorkflowInterceptorClassInput

_W3C = TraceContextTextMapPropagator()


class WorkflowSpans(TracingInterceptor):
    """Of a client. The workers that it makes have it too."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self.text_map_propagator = _W3C

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[TracingWorkflowInboundInterceptor]:
        super().workflow_interceptor_class(input)
        return _InWorkflow


class _InWorkflow(TracingWorkflowInboundInterceptor):
    def __init__(self, next: WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        self.text_map_propagator = _W3C

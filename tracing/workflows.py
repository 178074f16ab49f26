"""Spans of workflows and activities, by Temporal's own library, as parts of the request's trace.

Headers of workflow and activity carry `traceparent`, which is two ids and a flag, and nothing else: no `tracestate` and
no baggage. The workflow of a job belongs to the trace of the request that ordered it, whoever starts it and when.
"""

from typing import Any

from opentelemetry.context import attach, detach
from opentelemetry.trace import Tracer
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.worker import WorkflowInboundInterceptor, WorkflowInterceptorClassInput

from domain.current_request import TRACEPARENT
from tracing.parents import W3C, read


class WorkflowSpans(TracingInterceptor):
    """Of a client. The workers that it makes have it too."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self.text_map_propagator = W3C

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _FromClient(super().intercept_client(next))

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[TracingWorkflowInboundInterceptor]:
        super().workflow_interceptor_class(input)
        return _InWorkflow


class _FromClient(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        if (traceparent := TRACEPARENT.get()) is None:
            return await super().start_workflow(input)
        outer = attach(read(traceparent))
        try:
            return await super().start_workflow(input)
        finally:
            detach(outer)


class _InWorkflow(TracingWorkflowInboundInterceptor):
    def __init__(self, next: WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        self.text_map_propagator = W3C

"""Brings the id of a request to the activities that work for it, in a header of workflow and activity."""

from collections.abc import Mapping
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.worker import Interceptor as WorkerInterceptor
from temporalio.workflow import ActivityHandle

from domain.current_request import REQUEST_ID, REQUEST_ID_FORM

HEADER = "request-id"

_PAYLOADS = PayloadConverter.default


class RequestIds(ClientInterceptor, WorkerInterceptor):
    """Of a client. The workers that it makes have it too."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _FromClient(next)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _InWorkflow

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _InActivity(next)


class _FromClient(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        if (request_id := REQUEST_ID.get()) is not None:
            input.headers = {**input.headers, HEADER: _PAYLOADS.to_payloads([request_id])[0]}
        return await super().start_workflow(input)


class _InWorkflow(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_FromWorkflow(outbound))


class _FromWorkflow(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        input.headers = _passed_on(input.headers)
        return super().start_activity(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        input.headers = _passed_on(input.headers)
        super().continue_as_new(input)


def _passed_on(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    own = workflow.info().headers.get(HEADER)
    return headers if own is None else {**headers, HEADER: own}


class _InActivity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if (payload := input.headers.get(HEADER)) is not None:
            request_id = _PAYLOADS.from_payloads([payload])[0]
            if isinstance(request_id, str) and REQUEST_ID_FORM.fullmatch(request_id):
                REQUEST_ID.set(request_id)  # an activity is a task of its own
        return await super().execute_activity(input)

"""Makes the namespace of maintenance."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

RETENTION = timedelta(days=3)


_REFUSED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED)


async def ensure(client: Client) -> bool:
    """Add the client's namespace if it is missing. Idempotent. False if it is missing, and only an operator may add it.

    False also if this client may not use it.
    """
    try:
        if await exists(client):
            return True
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=client.namespace,
                workflow_execution_retention_period=Duration(seconds=int(RETENTION.total_seconds())),
            )
        )
    except RPCError as error:
        if error.status in _REFUSED:
            return False
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another worker has added it
            raise
    return True


async def exists(client: Client) -> bool:
    """Raises `RPCError` if Temporal is unavailable, or if this client may not ask."""
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True

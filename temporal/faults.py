"""What is wrong at Temporal, for its operator: told once, and once more when all is well again."""

import asyncio
from dataclasses import dataclass

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.rounds import FaultLog
from temporal.attributes import AttributesMissing
from temporal.client import Address

PAUSE_SECONDS = 5.0
"""The pause between two looks."""
MAX_SILENCE_SECONDS = 5.0
LOOKS = 2
"""So many in a row fail before it is a fault: a machine at its limits is late once."""
_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


@dataclass(frozen=True, slots=True)
class TemporalFault:
    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.remedy}"


def describe(error: Exception, address: Address) -> TemporalFault:
    """Describe why a call failed, in fixed words."""
    status = error.status if isinstance(error, RPCError) else None
    if isinstance(error, AttributesMissing):
        what, remedy = "Temporal lacks search attributes, and this worker may not add them", str(error)
    elif status in _DENIED:
        what, remedy = (
            "Temporal does not accept our key",
            "mend YOUT_TEMPORAL_API_KEY, or the rights of its owner in this namespace",
        )
    elif status is RPCStatusCode.NOT_FOUND:
        what, remedy = (
            f"Temporal has no namespace {address.namespace}",
            "make it, or name another one in YOUT_TEMPORAL_NAMESPACE",
        )
    elif status is RPCStatusCode.RESOURCE_EXHAUSTED:
        what, remedy = "Temporal has too much to do", "see its load, and the limits of this namespace"
    else:
        what, remedy = (
            "Temporal does not answer",
            "see that it runs there, and that YOUT_TEMPORAL_ADDRESS and YOUT_TEMPORAL_TLS are right; "
            "chats need it not, and jobs go on when it is back",
        )
    return TemporalFault(what, address.target, remedy)


async def look(client: Client) -> None:
    """Raises what a call raises while Temporal, or our namespace, cannot be used."""
    async with asyncio.timeout(MAX_SILENCE_SECONDS):
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))


async def watch(client: Client, address: Address, faults: FaultLog) -> None:
    """Look again and again until it is cancelled. Nothing else of this process tells the operator of Temporal."""
    failed = 0
    while True:
        try:
            await look(client)
        except (RPCError, RuntimeError, TimeoutError) as error:  # a lazy client's first call raises RuntimeError
            failed += 1
            if failed >= LOOKS:
                note(error, address, faults)
        else:
            failed = 0
            faults.clear(address.target)
        await asyncio.sleep(PAUSE_SECONDS)


def note(error: Exception, address: Address, faults: FaultLog) -> None:
    fault = describe(error, address)
    faults.report(fault.what, where=fault.where, remedy=fault.remedy)

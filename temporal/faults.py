"""What is wrong at Temporal, for its operator: told once, and once more when all is well again."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import GatewayError, ServiceUnavailable
from domain.faults import Fault, FaultLog, LastingFaults
from temporal.attributes import AttributesMissing
from temporal.client import Address

PAUSE_SECONDS = 5.0
"""The pause between two looks."""
MAX_SILENCE_SECONDS = 5.0
LOOKS = 2
"""So many in a row fail before it is a fault: a machine at its limits is late once."""
LATE_AGAIN_SECONDS = 60.0
"""Between two looks of so long, requests that got no answer before each of them are a fault: one may be late."""
_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
_TOO_MUCH = ("Temporal has too much to do", "see its load, and the limits of this namespace")
_LATER = "nothing is lost, maintenance asks again until it is done"
_ALONE = (
    "If others are done meanwhile, Temporal refuses `item` alone: `yout jobs cancel` ends a job and gives its credits "
    "back; report the line"
)


def describe(error: Exception, address: Address) -> Fault:
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
        what, remedy = _TOO_MUCH
    else:
        what, remedy = (
            "Temporal does not answer",
            "see that it runs there and has not frozen, and that YOUT_TEMPORAL_ADDRESS and YOUT_TEMPORAL_TLS are "
            "right; chats do not need it, and jobs go on when it is back",
        )
    return Fault(what, address.target, remedy)


class RequestFaults:
    """What Temporal does not do for a process although it answers. Without `watch` nobody learns of it."""

    def __init__(self, log: FaultLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasting, self._clock = LastingFaults(log, clock), clock
        self._failed: dict[str, tuple[RPCStatusCode | None, str]] = {}
        """Kinds of requests that failed since the last look, with the last one's item. None: without an answer."""
        self._late: dict[str, float] = {}
        """When kinds of requests were found to be without an answer."""
        self._done: set[str] = set()
        """Kinds of requests that Temporal did, and has not failed since."""

    @contextmanager
    def asking(self, act: str, item: UUID) -> Iterator[None]:
        """`act` is the request to Temporal, "start a job"; `item` is the id of the job, purge or delivery.

        Raises errors that are `reported`, and `TimeoutError`.
        """
        try:
            yield
        except (ServiceUnavailable, TimeoutError):
            self._note(act, item, None)
            raise
        except RPCError as error:
            self._note(act, item, error.status)
            raise _refused(error.status) from None
        self._done.add(act)

    def _note(self, act: str, item: UUID, status: RPCStatusCode | None) -> None:
        self._done.discard(act)
        if status is not None or act not in self._failed:
            self._failed[act] = status, str(item)

    def away(self) -> None:
        """Temporal does not answer: that is why."""
        self._failed.clear()

    def answers(self) -> None:
        """Temporal answers: report what failed meanwhile, and what it does again."""
        failed, self._failed = self._failed, {}
        now = self._clock()
        for act, (status, item) in failed.items():
            if status is not None:
                what, remedy = _words(status)
                self._lasting.report(what, where=act, remedy=remedy, status=status.name, item=item)
            elif act in self._late and now <= self._late[act] + LATE_AGAIN_SECONDS:
                what = "Temporal answers, but does not do in time what it is asked"
                remedy = f"see its load, and that of its database; {_LATER}"
                self._lasting.report(what, where=act, remedy=remedy)
            if status is None:
                self._late[act] = now
        for act in self._done:
            self._lasting.works(act)


def _words(status: RPCStatusCode) -> tuple[str, str]:
    if status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return _TOO_MUCH[0], f"{_TOO_MUCH[1]}; {_LATER}"
    return "Temporal refuses what was accepted", f"run `yout doctor`: it says what Temporal lacks; {_LATER}. {_ALONE}"


def _refused(status: RPCStatusCode) -> GatewayError:
    """Of one with too much to do, the rest of a round asks nothing. Other refusals may be of this request alone."""
    if status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return ServiceUnavailable("The job engine has too much to do. Try again.", reported=True)
    error = GatewayError("The job engine refused this.")
    error.reported = True
    return error


async def look(client: Client) -> None:
    """Raises what a call raises while Temporal, or our namespace, cannot be used."""
    async with asyncio.timeout(MAX_SILENCE_SECONDS):
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))


async def watch(
    client: Client, address: Address, faults: FaultLog, request_faults: RequestFaults | None = None
) -> None:
    """Look again and again until it is cancelled. Nothing else of this process tells the operator of Temporal."""
    failed = 0
    while True:
        try:
            await look(client)
        except (RPCError, RuntimeError, TimeoutError) as error:  # a lazy client's first call raises RuntimeError
            failed += 1
            if request_faults is not None:
                request_faults.away()
            if failed >= LOOKS:
                note(error, address, faults)
        else:
            failed = 0
            faults.clear(address.target)
            if request_faults is not None:
                request_faults.answers()
        await asyncio.sleep(PAUSE_SECONDS)


def note(error: Exception, address: Address, faults: FaultLog) -> None:
    fault = describe(error, address)
    faults.report(fault.what, where=fault.where, remedy=fault.remedy)

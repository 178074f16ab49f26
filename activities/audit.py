"""The scheduled audit of the ledger. A drift fails the workflow: loud in the Temporal UI, the log and the metrics."""

import logging
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import failures
from activities.payloads import Audited


class AuditResult(Protocol):
    @property
    def clean(self) -> bool: ...
    @property
    def accounts(self) -> int: ...
    @property
    def drift_credits(self) -> int: ...
    @property
    def counts(self) -> dict[str, int]: ...


class Auditor(Protocol):
    async def run(self) -> AuditResult:
        """One audit, recorded."""


log = logging.getLogger(__name__)


class AuditActivities:
    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    @activity.defn
    async def audit_ledger(self) -> Audited:
        """Safe to do twice: it reads, and records what it found."""
        with failures.translated():
            report = await self._auditor.run()
        if not report.clean:
            named = ", ".join(f"{check}: {count}" for check, count in sorted(report.counts.items()))
            log.error("LEDGER DRIFT of %s credits (%s): run `yout audit`", report.drift_credits, named)
            raise ApplicationError(f"The ledger drifted: {named}", type="LedgerDrift", non_retryable=True)
        return Audited(accounts=report.accounts)

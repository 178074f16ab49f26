"""Metrics of what PostgreSQL has: the same from every process. Each collector is of one scrape."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.queue_metrics import UnendedJobs
from db import holds, media_figures, operator_figures, payment_lists, worker_faults
from db.audit import latest
from db.engine import Database
from db.holds import Figures
from db.media_figures import Overdue
from db.operator_figures import AccountFigures, DeliveryFigures, RecentJobs
from db.tables import AuditRow
from domain.faults import Fault


class Ledger(Collector):
    def __init__(self, figures: Figures, audit: AuditRow | None) -> None:
        self._figures, self._audit = figures, audit

    def collect(self) -> Iterator[Metric]:
        figures, audit = self._figures, self._audit
        yield GaugeMetricFamily("yout_holds_open", "Holds of calls and jobs in flight", figures.open)
        yield GaugeMetricFamily("yout_holds_open_credits", "Credits in open holds", figures.open_credits)
        yield CounterMetricFamily("yout_holds_expired", "Holds ended by the sweeper since ever", figures.swept)
        yield GaugeMetricFamily("yout_holds_overdue", "Expired holds that the sweeper cannot end", figures.overdue)
        yield _known(
            "yout_ledger_drift_credits",
            "Difference of balances and lines",
            None if audit is None else audit.drift_credits,
        )
        findings = None if audit is None else sum(audit.counts.values())
        yield _known("yout_ledger_findings", "What the last audit found", findings)
        began = None if audit is None else audit.began_at.timestamp()
        yield _known("yout_audit_timestamp_seconds", "When it began", began)


def _known(name: str, text: str, value: float | None) -> Metric:
    """Make a gauge without a value if that is not known."""
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], value)
    return family


class OverdueWork(Collector):
    """What nothing can end."""

    def __init__(self, overdue: Overdue) -> None:
        self._overdue = overdue

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("yout_jobs_overdue", "Media jobs that nothing can end", self._overdue.jobs)
        yield GaugeMetricFamily(
            "yout_outputs_overdue", "Jobs whose expired outputs cannot be deleted", self._overdue.outputs
        )


class WorkerFaults(Collector):
    """What the logs of workers have as wrong at present."""

    def __init__(self, showing: Sequence[Fault]) -> None:
        self._showing = showing

    def collect(self) -> Iterator[Metric]:
        faults = GaugeMetricFamily(
            "yout_worker_faults", "Faults of workers that only the operator can mend", labels=["fault", "place"]
        )
        for fault in self._showing:
            faults.add_metric([fault.what, fault.where], 1)
        yield faults


class Operator(Collector):
    """The figures of all accounts together, and of what waits to be told to receivers of webhooks."""

    def __init__(self, accounts: AccountFigures, deliveries: DeliveryFigures, jobs: RecentJobs) -> None:
        self._accounts, self._deliveries, self._jobs = accounts, deliveries, jobs

    def collect(self) -> Iterator[Metric]:
        accounts, waiting = self._accounts, self._deliveries
        yield GaugeMetricFamily("yout_accounts", "Accounts", accounts.number)
        yield GaugeMetricFamily("yout_credits_available", "Credits that accounts may spend", accounts.available)
        yield GaugeMetricFamily("yout_credits_held", "Credits that are held, by the accounts' rows", accounts.held)
        yield GaugeMetricFamily("yout_webhook_deliveries_pending", "Those that wait for an attempt", waiting.pending)
        yield GaugeMetricFamily("yout_webhook_deliveries_due", "Of them, those whose time has come", waiting.due)
        yield GaugeMetricFamily(
            "yout_webhook_deliveries_due_age_seconds", "How long the oldest is due", waiting.age.total_seconds()
        )
        yield GaugeMetricFamily("yout_webhook_deliveries_failed", "Given up, of the last day's", waiting.failed)
        yield GaugeMetricFamily(
            "yout_webhook_endpoints_disabled", "Endpoints that were disabled for failing", waiting.disabled_endpoints
        )
        recent = GaugeMetricFamily("yout_jobs_recent", "Media jobs of the last day", labels=["kind", "state"])
        for kind, states in self._jobs.by_kind.items():
            for state, number in states.items():
                recent.add_metric([kind.value, state.value], number)
        yield recent
        ended = GaugeMetricFamily(
            "yout_jobs_ended_lately",
            "Of them, those that ended within the last hour",
            labels=["kind", "provider", "end"],
        )
        for one, number in self._jobs.ended.items():
            ended.add_metric([one.kind.value, one.provider, one.end], number)
        yield ended


class Payments(Collector):
    """The figures of payments that need the operator."""

    def __init__(self, figures: payment_lists.Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "yout_payments_unmatched", "Payments that have given nothing yet", self._figures.unmatched
        )
        yield GaugeMetricFamily(
            "yout_payments_due_credits", "Credits to be taken back that accounts do not have", self._figures.due
        )


async def read(database: Database) -> list[Collector]:
    async with database.reading() as session:
        return [
            Ledger(await holds.figures(session), await latest(session)),
            OverdueWork(await media_figures.overdue(session)),
            UnendedJobs(await media_figures.open_jobs(session)),
            WorkerFaults(await worker_faults.showing(session)),
            Payments(await payment_lists.figures(session)),
            Operator(
                await operator_figures.accounts(session),
                await operator_figures.deliveries(session),
                await operator_figures.recent_jobs(session),
            ),
        ]

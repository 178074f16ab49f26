"""`GET /metrics` for Prometheus. The ledger's figures come from the database, so every process gives the same."""

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api.deps import CurrentResources
from api.health import answers
from api.queue_metrics import Queues, UnendedJobs
from api.resources import Resources
from db import holds, media_figures, operator_figures, payment_lists, worker_faults
from db.audit import latest
from db.engine import Database
from db.holds import Figures
from db.media_figures import Overdue
from db.operator_figures import AccountFigures, DeliveryFigures, RecentJobs
from db.tables import AuditRow
from db.writer import LedgerWriter
from domain.errors import CallerUnknown, ServiceUnavailable
from domain.faults import Fault
from domain.rounds import MaintenanceErrors
from gateway.distributions import Distribution
from gateway.route_states import RouteState, RouteStates
from gateway.visitors import REFUSED_BY, Visitors

router = APIRouter(tags=["health"])
BILLION = 10**9
MAX_SILENCE_SECONDS = 5.0
"""How long the figures may take. Prometheus gives up after ten seconds, and then has nothing of this process."""


class _Process(Collector):
    """What this process knows by itself."""

    def __init__(self, resources: Resources, writer: LedgerWriter, *, database_up: bool) -> None:
        self._calls, self._bodies = resources.calls, resources.bodies
        self._writer, self._database_up = writer, database_up

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("yout_database_up", "PostgreSQL answers this process", int(self._database_up))
        yield GaugeMetricFamily("yout_live_calls", "Chat calls in flight in this process", len(self._calls.live))
        yield GaugeMetricFamily(
            "yout_abandoned_streams", "Of them, read on for clients who have gone", len(self._calls.abandoned)
        )
        yield GaugeMetricFamily("yout_large_body_bytes", "Large bodies, and what is read for calls", self._bodies.used)
        yield CounterMetricFamily(
            "yout_unbilled_output_tokens",
            "Output that providers reported above the limit they were given",
            self._calls.unbilled_output,
        )
        yield CounterMetricFamily("yout_ledger_batches", "Commits of this process's ledger", self._writer.batches)
        yield CounterMetricFamily("yout_ledger_operations", "What they carried", self._writer.operations)


class _Ledger(Collector):
    """The collector of one scrape. It keeps nothing for the next one."""

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


class _Routes(Collector):
    """The figures of this process's routes to providers. Only the operator's own names are in them."""

    def __init__(self, states: RouteStates, faults: Mapping[str, int]) -> None:
        self._states, self._faults = states, faults

    def collect(self) -> Iterator[Metric]:
        # Also of providers without a fault: Prometheus sees no increase in a counter that begins with 1.
        faults = CounterMetricFamily("yout_route_faults", "Routes that failed by a fault of ours", labels=["provider"])
        for provider, count in self._faults.items():
            faults.add_metric([provider], count)
        yield faults
        yield self._counter("yout_route_requests", "Attempts on a route", lambda state: state.requests)
        yield self._errors()
        yield self._counter("yout_route_output_tokens", "Output of answers", lambda state: state.output_tokens)
        yield self._counter("yout_route_credits", "Credits charged for answers", lambda state: state.credits)
        yield self._counter(
            "yout_route_cost_credits", "What the provider bills us, as far as known", lambda state: state.cost / BILLION
        )
        now = self._states.clock()
        yield self._gauge(
            "yout_route_breaker", "0 closed, 1 half-open, 2 open", lambda state: state.breaker.position(now)
        )
        yield self._gauge(
            "yout_route_resting_accounts",
            "Accounts for which alone the route rests",
            lambda state: state.breaker.resting(now),
        )
        yield self._gauge(
            "yout_route_first_output_seconds", "Moving average, streams", lambda state: state.first_output
        )
        yield self._gauge("yout_route_duration_seconds", "Moving average, whole calls", lambda state: state.duration)
        yield self._gauge("yout_route_tokens_per_second", "Moving average of output", lambda state: state.speed)
        yield self._histogram("yout_call_seconds", "Whole calls", lambda state: state.durations)
        yield self._histogram(
            "yout_call_first_output_seconds", "To the first output of streams", lambda state: state.first_outputs
        )
        yield self._histogram(
            "yout_call_output_tokens_per_second", "Output, once it has begun", lambda state: state.speeds
        )
        keys = GaugeMetricFamily("yout_provider_keys_resting", "Keys that are not used now", labels=["provider"])
        for provider, ring in self._states.keys.items():
            keys.add_metric([provider], ring.resting(now))
        yield keys
        retaining = GaugeMetricFamily(
            "yout_provider_retaining", "It has said that it keeps calls that it must not keep", labels=["provider"]
        )
        for provider in self._states.retaining:
            retaining.add_metric([provider], 1)
        yield retaining

    def _errors(self) -> Metric:
        errors = CounterMetricFamily("yout_route_errors", "Attempts that failed", labels=["provider", "model", "kind"])
        for names, state in self._states.routes.items():
            for kind, count in state.errors.items():
                errors.add_metric([*names, kind.value], count)
        return errors

    def _counter(self, name: str, text: str, value: Callable[[RouteState], float]) -> Metric:
        family = CounterMetricFamily(name, text, labels=["provider", "model"])
        for names, state in self._states.routes.items():
            family.add_metric(names, value(state))
        return family

    def _histogram(self, name: str, text: str, value: Callable[[RouteState], Distribution]) -> Metric:
        family = HistogramMetricFamily(name, text, labels=["provider", "model"])
        for names, state in self._states.routes.items():
            if (values := value(state)).number:
                family.add_metric(names, values.cumulative(), values.total)
        return family

    def _gauge(self, name: str, text: str, value: Callable[[RouteState], float | None]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["provider", "model"])
        for names, state in self._states.routes.items():
            if (known := value(state)) is not None:
                family.add_metric(names, known)
        return family


class _Visitors(Collector):
    """The figures of this process's visitors."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "yout_visitor_messages", "Messages without an account, of this process", self._visitors.messages
        )
        refusals = CounterMetricFamily("yout_visitor_refusals", "Of them, those refused", labels=["limit"])
        for limit in REFUSED_BY:
            refusals.add_metric([limit], self._visitors.refused[limit])
        yield refusals


class _Overdue(Collector):
    """What nothing can end."""

    def __init__(self, overdue: Overdue) -> None:
        self._overdue = overdue

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("yout_jobs_overdue", "Media jobs that nothing can end", self._overdue.jobs)
        yield GaugeMetricFamily(
            "yout_outputs_overdue", "Jobs whose expired outputs cannot be deleted", self._overdue.outputs
        )


class _Maintenance(Collector):
    """The figures of what maintenance could not do."""

    def __init__(self, errors: MaintenanceErrors) -> None:
        self._errors = errors

    def collect(self) -> Iterator[Metric]:
        errors = CounterMetricFamily(
            "yout_maintenance_errors",
            "What maintenance failed to do in this process; the log names it",
            labels=["task"],
        )
        for task, count in self._errors.by_task.items():
            errors.add_metric([task], count)
        yield errors


class _Faults(Collector):
    """What the log of this process has as wrong at present."""

    def __init__(self, showing: Sequence[Fault]) -> None:
        self._showing = Counter(fault.what for fault in showing)

    def collect(self) -> Iterator[Metric]:
        faults = GaugeMetricFamily(
            "yout_operator_faults", "Places of faults that only the operator can mend", labels=["fault"]
        )
        for what, places in self._showing.items():
            faults.add_metric([what], places)
        yield faults


class _WorkerFaults(Collector):
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


class _Operator(Collector):
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


class _Payments(Collector):
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


class _Text(Response):
    media_type = CONTENT_TYPE_LATEST.partition(";")[0]


def _require_token(request: Request, token: str | None) -> None:
    """Raises `CallerUnknown` unless the request has the operator's token, where there is one."""
    if token is None:
        return
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise CallerUnknown("Metrics need the token of YOUT_METRICS_TOKEN: `Authorization: Bearer <token>`.")


@router.get("/metrics", response_class=_Text)
async def metrics(request: Request, resources: CurrentResources) -> Response:
    """Metrics for Prometheus. They need the operator's token where one is set; else keep this path off the internet.

    While PostgreSQL is away, those of the process alone.
    """
    _require_token(request, request.app.state.metrics_token)
    ledger: LedgerWriter = request.app.state.ledger
    stored: list[Collector] = []
    if up := ledger.available and await answers(resources.database):
        with suppress(ServiceUnavailable, TimeoutError):
            async with asyncio.timeout(MAX_SILENCE_SECONDS):
                stored = await _stored(resources.database)
    faults = dict.fromkeys(resources.catalog().providers, 0) | resources.calls.faults.by_provider
    registry = CollectorRegistry()
    registry.register(_Process(resources, ledger, database_up=up))
    registry.register(_Routes(resources.calls.router.states, faults))
    registry.register(_Visitors(resources.visitors))
    registry.register(_Maintenance(request.app.state.maintenance_errors))
    registry.register(_Faults(request.app.state.faults.showing()))
    registry.register(request.app.figures)
    registry.register(Queues(await resources.backlogs()))
    for collector in stored:
        registry.register(collector)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _stored(database: Database) -> list[Collector]:
    """What PostgreSQL has: the same from every process."""
    async with database.reading() as session:
        return [
            _Ledger(await holds.figures(session), await latest(session)),
            _Overdue(await media_figures.overdue(session)),
            UnendedJobs(await media_figures.open_jobs(session)),
            _WorkerFaults(await worker_faults.showing(session)),
            _Payments(await payment_lists.figures(session)),
            _Operator(
                await operator_figures.accounts(session),
                await operator_figures.deliveries(session),
                await operator_figures.recent_jobs(session),
            ),
        ]

"""`GET /metrics` for Prometheus: what this process knows by itself, and what `api/stored_metrics.py` reads."""

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api import stored_metrics
from api.deps import CurrentResources
from api.health import answers
from api.queue_metrics import Queues
from api.resources import Resources
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
                stored = await stored_metrics.read(resources.database)
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

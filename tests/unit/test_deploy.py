"""What is under `deploy/`: rules and dashboards name metrics that there are, and alerts have runbooks."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from api import metrics, stored_metrics
from api.queue_metrics import Queues, UnendedJobs
from api.request_figures import RequestFigures
from db.holds import Figures
from db.media_figures import OpenJobs, Overdue
from db.operator_figures import AccountFigures, DeliveryFigures, RecentJobs
from db.payment_lists import Figures as PaymentFigures
from db.tables import AuditRow
from domain.faults import Fault
from domain.media import Kind
from domain.rounds import MaintenanceErrors
from gateway.body_budget import BodyBudget
from gateway.route_states import RouteStates
from tests.support.stack import ROOT
from tests.support.system_programs import required

DEPLOY = ROOT / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "yout.json").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


class Fake:
    """Stands for what a collector only counts."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def families() -> dict[str, str]:
    """Every metric that `GET /metrics` has, and its type."""
    now = datetime.now(UTC)
    resources = Fake(calls=Fake(live={}, abandoned=(), unbilled_output=0), bodies=BodyBudget(0))
    audit = AuditRow(began_at=now, whole=True, clean=True, drift_credits=0, counts={})
    registry = CollectorRegistry()
    collectors: list[Any] = [
        metrics._Process(resources, Fake(batches=0, operations=0), database_up=True),  # type: ignore[arg-type]  # its counts
        stored_metrics.Ledger(Figures(0, 0, 0, 0), audit),
        metrics._Routes(RouteStates(lambda: 0.0), {}),
        metrics._Visitors(Fake(messages=0, refused=Counter())),  # type: ignore[arg-type]  # the same
        stored_metrics.OverdueWork(Overdue(0, 0)),
        metrics._Maintenance(MaintenanceErrors(Fake(), str)),  # type: ignore[arg-type]  # the same
        metrics._Faults([Fault("it is away", "there", "mend it")]),
        stored_metrics.WorkerFaults([]),
        stored_metrics.Payments(PaymentFigures(0, 0)),
        stored_metrics.Operator(
            AccountFigures(0, 0, 0, 0, 0), DeliveryFigures(0, 0, timedelta(), 0, 0), RecentJobs({}, {})
        ),
        Queues(None),
        UnendedJobs([OpenJobs(Kind.IMAGE)]),
        RequestFigures(),
    ]
    for collector in collectors:
        registry.register(collector)
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", generate_latest(registry).decode(), re.MULTILINE))


def exposed() -> set[str]:
    """Every name of a sample."""
    return {name.removesuffix("_total") + suffix for name, kind in families().items() for suffix in _SUFFIXES[kind]}


def named(expression: str) -> Iterator[str]:
    yield from re.findall(r"\byout_[a-z0-9_]+", expression)


@pytest.mark.parametrize(
    "expression",
    [*(rule["expr"] for rule in ALERTS), *(target["expr"] for panel in PANELS for target in panel["targets"])],
)
def test_every_metric_that_is_named_exists(expression: str) -> None:
    assert set(named(expression)) <= exposed()
    assert expression.count("(") == expression.count(")")


CONFIGURATIONS = (DEPLOY / "prometheus" / "prometheus.yml", DEPLOY / "compose" / "prometheus" / "prometheus.yml")


@pytest.mark.parametrize(
    "words",
    [("check", "rules", DEPLOY / "prometheus" / "rules.yml")]
    + [("check", "config", "--syntax-only", path) for path in CONFIGURATIONS],
)
def test_prometheus_itself_takes_rules_and_configurations(words: tuple[str | Path, ...]) -> None:
    checked = subprocess.run([required("promtool", package="prometheus"), *words], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.parent.parent.name)
def test_the_jobs_of_the_rules_are_scraped(path: Path) -> None:
    jobs = {job for rule in ALERTS for job in re.findall(r'job="(\w+)"', rule["expr"])}
    assert jobs == {"yout"}
    assert jobs <= {scraped["job_name"] for scraped in yaml.safe_load(path.read_text())["scrape_configs"]}


def test_every_metric_in_the_documents_exists() -> None:
    documents = "".join((ROOT / "docs" / name).read_text() for name in ("operating.md", "workers.md"))
    names = {name for name in named(documents) if name not in ("yout_app", "yout_metrics_token")}
    assert names == families().keys(), "a metric is in families, above, and in docs/operating.md"


def test_every_alert_has_a_runbook_of_its_name() -> None:
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()
    headings = {re.sub(r"[^a-z]+", "-", line.lower()) for line in re.findall(r"^## (.*)$", runbooks, re.MULTILINE)}
    for rule in ALERTS:
        page, _, place = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/runbooks.md"
        assert place in headings, "write its runbook into docs/runbooks.md"
        assert f"`{rule['alert']}`" in runbooks
        assert rule["labels"]["severity"] in ("page", "ticket")
    assert headings == {rule["annotations"]["runbook"].partition("#")[2] for rule in ALERTS}


def test_prometheus_reads_the_rules() -> None:
    read = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert read["rule_files"] == ["rules.yml"]
    assert [job["job_name"] for job in read["scrape_configs"]] == ["yout"]


def test_panels_stand_beside_each_other() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])

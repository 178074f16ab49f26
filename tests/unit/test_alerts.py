"""Each alert of `deploy/prometheus` fires for what it is about, and not before: by Prometheus' own test of rules."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.rounds import FAILED
from gateway.payments import NOT_GENUINE, NOT_SET_UP, UNMATCHED
from gateway.provider_faults import WORDS
from tests.support.stack import ROOT
from tests.support.system_programs import required

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
LONG = 120
"""Minutes of a series, with a value for each: well, then ill from `BREAK` on."""
BREAK = 60
GROWS = "0+10x"


def _breaks(well: int, ill: int) -> str:
    return f"{well}x{BREAK - 1} {ill}x{LONG - BREAK}"


ILL: dict[str, dict[str, str]] = {
    "YoutLedgerDrift": {"yout_ledger_drift_credits": _breaks(0, 5), "yout_ledger_findings": _breaks(0, 0)},
    "YoutAuditMissing": {
        "yout_audit_timestamp_seconds": f"0+60x{BREAK} {BREAK * 60}x{LONG - BREAK}",
        "yout_database_up": _breaks(1, 1),
    },
    "YoutHoldsStuck": {"yout_holds_overdue": _breaks(0, 1)},
    "YoutUnbilledOutput": {"yout_unbilled_output_tokens_total": f"0x{BREAK - 1} 0+9x{LONG - BREAK}"},
    "YoutPaymentsUnmatched": {"yout_payments_unmatched": _breaks(0, 1)},
    "YoutApiDown": {'up{job="yout"}': _breaks(1, 0)},
    "YoutOperatorFault": {
        'yout_operator_faults{fault="the object store does not answer"}': f"_x{BREAK} 1x{LONG - BREAK}"
    },
    "YoutWorkerFault": {
        'yout_worker_faults{fault="a key is refused",place="p"}': f"_x{BREAK} 1x{LONG - BREAK}",
        'yout_worker_faults{fault="known",place="p"}': f"_x{BREAK} 1x{LONG - BREAK}",
        'yout_operator_faults{fault="known"}': f"_x{BREAK} 1x{LONG - BREAK}",
    },
    "YoutDatabaseDown": {"yout_database_up": _breaks(1, 0)},
    "YoutErrorsHigh": {
        'yout_http_requests_total{status="200"}': f"{GROWS}{LONG}",
        'yout_http_requests_total{status="503"}': f"0x{BREAK - 1} 0+2x{LONG - BREAK}",
    },
    "YoutCallErrorsHigh": {
        'yout_calls_total{model="m"}': f"{GROWS}{LONG}",
        'yout_call_errors_total{model="m"}': f"0x{BREAK - 1} 0+5x{LONG - BREAK}",
        'yout_calls_total{model="callers"}': f"{GROWS}{LONG}",
        'yout_call_errors_total{model="callers",code="content_policy_violation"}': f"{GROWS}{LONG}",
    },
    "YoutAdapterFault": {'yout_route_faults_total{provider="p"}': _breaks(0, 1)},
    "YoutProviderDown": {'yout_route_breaker{provider="p"}': " ".join(["0"] * BREAK + ["2", "1", "1"] * 20)},
    "YoutProviderKeysResting": {'yout_provider_keys_resting{provider="p"}': _breaks(0, 1)},
    "YoutProviderRetains": {'yout_provider_retaining{provider="p"}': f"_x{BREAK} 1x{LONG - BREAK}"},
    "YoutTemporalDown": {"yout_temporal_up": _breaks(1, 0)},
    "YoutQueueUnserved": {
        'yout_task_queue_workers{queue="q"}': _breaks(2, 0),
        'yout_task_queue_backlog{queue="q"}': _breaks(3, 3),
    },
    "YoutQueueSlow": {'yout_task_queue_backlog_age_seconds{queue="q"}': _breaks(1, 301)},
    "YoutJobsQueuedLong": {'yout_jobs_queued_age_seconds{kind="image"}': _breaks(1, 601)},
    "YoutJobsStuck": {"yout_jobs_overdue": _breaks(0, 1)},
    "YoutJobsFailing": {
        'yout_jobs_ended_lately{provider="p",kind="image",end="upstream_error"}': _breaks(2, 3),
        'yout_jobs_ended_lately{provider="p",kind="video",end="upstream_timeout"}': _breaks(0, 1),
        'yout_jobs_ended_lately{provider="p",kind="image",end="succeeded"}': _breaks(0, 12),
        'yout_jobs_ended_lately{provider="other",kind="image",end="invalid_value"}': _breaks(0, 9),
        'yout_jobs_ended_lately{provider="large",kind="image",end="upstream_error"}': _breaks(0, 3),
        'yout_jobs_ended_lately{provider="large",kind="image",end="succeeded"}': _breaks(0, 100),
    },
    "YoutOutputsStuck": {"yout_outputs_overdue": _breaks(0, 1)},
    "YoutMaintenanceFailing": {'yout_maintenance_errors_total{task="t"}': f"_x{BREAK} 1+1x{LONG - BREAK}"},
    "YoutWebhooksLate": {"yout_webhook_deliveries_due_age_seconds": _breaks(0, 601)},
}


def _fires(alert: str, series: dict[str, str], minute: int) -> dict[str, Any]:
    """A test by which it fires in the hour after the break, and did not before."""
    rule = ALERTS[alert]
    grouped = set(", ".join(re.findall(r"by \(([^)]+)\)", rule["expr"])[:1]).split(", "))
    labels = {} if alert == "YoutErrorsHigh" else dict(re.findall(r'(\w+)="([^"]*)"', next(iter(series))))
    labels = {name: value for name, value in labels.items() if name in grouped or alert == "YoutApiDown"}
    firing = {"exp_labels": rule["labels"] | labels, "exp_annotations": rule["annotations"]}
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{BREAK - 1}m", "alertname": alert, "exp_alerts": []},
            {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": [firing]},
        ],
    }


def test_every_alert_is_in_the_table() -> None:
    assert ILL.keys() == ALERTS.keys(), "an alert needs series by which it fires: ILL"


@pytest.mark.parametrize("alert", ILL)
def test_an_alert_fires_for_its_fault_and_not_before(alert: str, tmp_path: Path) -> None:
    minute = BREAK + 8 if ALERTS[alert]["for"] == "0m" else LONG
    assert _failures(_fires(alert, ILL[alert], minute), tmp_path) == ""


def test_a_new_installation_has_twenty_minutes_for_its_first_audit(tmp_path: Path) -> None:
    rule = ALERTS["YoutAuditMissing"]
    firing = {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
    checks = [
        {"eval_time": f"{minute}m", "alertname": "YoutAuditMissing", "exp_alerts": alerts}
        for minute, alerts in ((19, []), (30, [firing]))
    ]
    up = {"series": "yout_database_up", "values": f"1x{LONG}"}
    test = {"interval": "1m", "input_series": [up], "alert_rule_test": checks}
    assert _failures(test, tmp_path) == ""


def test_maintenance_that_only_a_worker_fails_at_has_one_alert(tmp_path: Path) -> None:
    series = {"series": f'yout_worker_faults{{fault="{FAILED}",place="recover"}}', "values": f"1x{LONG}"}
    rule = ALERTS["YoutMaintenanceFailing"]
    firing = {"exp_labels": rule["labels"] | {"task": "recover"}, "exp_annotations": rule["annotations"]}
    checks = [
        {"eval_time": f"{LONG}m", "alertname": alert, "exp_alerts": alerts}
        for alert, alerts in (("YoutMaintenanceFailing", [firing]), ("YoutWorkerFault", []))
    ]
    test = {"interval": "1m", "input_series": [series], "alert_rule_test": checks}
    assert _failures(test, tmp_path) == ""


def test_a_route_that_broke_once_and_gets_no_call_is_not_down(tmp_path: Path) -> None:
    """Its breaker stays half-open until somebody calls."""
    series = {"series": 'yout_route_breaker{provider="p"}', "values": f"0x{BREAK - 1} 2x1 1x{LONG - BREAK}"}
    checks = [
        {"eval_time": f"{minute}m", "alertname": "YoutProviderDown", "exp_alerts": []} for minute in range(BREAK, LONG)
    ]
    test = {"interval": "1m", "input_series": [series], "alert_rule_test": checks}
    assert _failures(test, tmp_path) == ""


@pytest.mark.parametrize("fault", [NOT_SET_UP, NOT_GENUINE, UNMATCHED, FAILED, *dict(WORDS.values())])
def test_no_alert_is_of_what_has_its_own_or_of_what_anybody_may_send(fault: str, tmp_path: Path) -> None:
    """Events of Stripe come without a key: a stranger's would fire for as long as they come."""
    series = {"series": f'yout_operator_faults{{fault="{fault}"}}', "values": f"1x{LONG}"}
    checks = [{"eval_time": f"{LONG}m", "alertname": "YoutOperatorFault", "exp_alerts": []}]
    test = {"interval": "1m", "input_series": [series], "alert_rule_test": checks}
    assert _failures(test, tmp_path) == ""


def _failures(test: dict[str, Any], folder: Path) -> str:
    """Return what promtool has against the rules. Empty: they pass."""
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    (folder / "tests.yml").write_text(yaml.safe_dump(document))
    command = (required("promtool", package="prometheus"), "test", "rules", folder / "tests.yml")
    ran = subprocess.run(command, capture_output=True, text=True)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr or f"exit code {ran.returncode}"

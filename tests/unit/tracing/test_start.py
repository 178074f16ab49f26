"""When traces are exported: what the environment says, and that nothing is there when it says nothing."""

import subprocess
import sys

import pytest

import environment
from environment import SettingsInvalid
from tests.support.stack import ROOT

URL = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("given", "receiver"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, URL),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{URL}/v1/traces"}, f"{URL}/v1/traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}, None),
        ({"OTEL_SERVICE_NAME": "yout"}, None),
    ],
)
def test_a_receiver_or_an_exporter_switches_them_on(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], receiver: str | None
) -> None:
    set_alone(monkeypatch, given)
    assert environment.trace_receiver() == receiver


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_what_is_not_here_is_refused_in_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    set_alone(monkeypatch, {"OTEL_EXPORTER_OTLP_ENDPOINT": URL, name: value})
    with pytest.raises(SettingsInvalid, match=f"^{name}: write [a-z/]+"):
        environment.trace_receiver()


def set_alone(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name in environment.names_with_prefix("OTEL_"):
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def test_a_process_without_traces_loads_no_sdk() -> None:
    """No span and no tracer can cost anything there. FastAPI loads OpenTelemetry's interfaces by itself."""
    loaded = "{'tracing.export', 'opentelemetry.sdk', 'opentelemetry.exporter'} & set(sys.modules)"
    code = f"import sys, server, worker; sys.exit(bool({loaded}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0

"""What `yout providers` makes of the metrics of several processes."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli import providers
from exits import Failure

METRICS = """
# TYPE yout_route_requests_total counter
yout_route_requests_total{provider="p",model="m"} 10.0
# TYPE yout_route_errors_total counter
yout_route_errors_total{provider="p",model="m",kind="timeout"} 2.0
# TYPE yout_route_breaker gauge
yout_route_breaker{provider="p",model="m"} 1.0
# TYPE yout_route_first_output_seconds gauge
yout_route_first_output_seconds{provider="p",model="m"} 0.4
# TYPE yout_route_faults_total counter
yout_route_faults_total{provider="p"} 7.0
# TYPE yout_holds_open gauge
yout_holds_open 1.0
# TYPE yout_provider_keys_resting gauge
yout_provider_keys_resting{provider="p"} 2.0
# TYPE yout_provider_retaining gauge
yout_provider_retaining{provider="q"} 1.0
"""


def test_figures_of_processes_are_added_up() -> None:
    routes: providers.Routes = {}
    for _ in range(2):
        providers._add(routes, METRICS)
    row = providers._row("p", "m", routes["p", "m"])
    assert (row["requests"], row["errors"], row["first_output"]) == (20, {"timeout": 4}, 0.4)
    assert (row["breaker"], row["health"], row["tokens_per_second"]) == ("half-open", "poor", None)
    assert providers._line(row)[4:7] == ("20", "4 timeout", "0.40 s")


def test_what_processes_know_of_a_provider() -> None:
    notes: dict[str, dict[str, int]] = {}
    for _ in range(2):
        providers._add_notes(notes, METRICS)
    assert notes == {"p": {"keys_resting": 2, "retaining": 0}, "q": {"keys_resting": 0, "retaining": 1}}
    assert providers._noted("p", {"p": "1.000"}, notes["p"]) == ("p", "1.000", "2", "-")
    assert providers._noted("q", {}, notes["q"])[1:] == ("-", "0", "yes: off for them")


def test_jobs_are_requests_of_their_routes() -> None:
    state = providers._empty()
    providers._add_jobs(state, {None: 3, "upstream_error": 4})
    row = providers._row("p", "m", state)
    assert (row["requests"], row["errors"], row["health"]) == (7, {"upstream_error": 4}, "poor")


class Answering(BaseHTTPRequestHandler):
    """An API process, and proxies in front of it: the first part of the path is the status."""

    def do_GET(self) -> None:
        status = int(self.path.split("/")[1])
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.wfile.write(METRICS.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "words"), [(404, "docker compose exec api yout providers"), (401, "YOUT_METRICS_TOKEN"), (502, "--url")]
)
def test_a_proxy_that_does_not_answer_is_named_with_what_to_do(server: str, status: int, words: str) -> None:
    with pytest.raises(Failure) as failure:
        providers._metrics(None, f"{server}/{status}", "http://127.0.0.1:1")
    assert f"GET /metrics at {server}/{status} answers {status}: " in failure.value.line
    assert words in failure.value.line


def test_behind_a_proxy_the_process_on_this_machine_is_read(server: str) -> None:
    assert providers._metrics(None, f"{server}/404", f"{server}/200/") == METRICS


@pytest.mark.parametrize(
    ("requests", "errors", "breaker", "health"),
    [(0, 0, 0, "unused"), (9, 4, 0, "good"), (9, 5, 0, "poor"), (9, 0, 1, "poor"), (9, 0, 2, "down")],
)
def test_health_in_a_word(requests: int, errors: int, breaker: int, health: str) -> None:
    state: dict[str, Any] = {
        "requests": requests,
        "breaker": breaker,
        "resting_accounts": 0,
        "errors": defaultdict(int),
    }
    assert providers._health(state, errors) == health

"""What `GET /metrics` counts of requests and calls, and whom it answers."""

from collections import Counter
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest
from fastapi import Request
from prometheus_client.parser import text_string_to_metric_families

from api import metrics
from api.request_figures import SERVER_ERRORS
from domain.errors import CallerUnknown
from domain.rounds import TASKS
from tests.support.account_client import AccountClient

CHAT = "/v1/chat/completions"


async def read(owner: AccountClient) -> Counter[tuple[str, ...]]:
    """Each sample's value by its name and the values of its labels."""
    text = (await owner.http.get("/metrics")).text
    assert owner.customer.token not in text
    assert str(owner.customer.account_id) not in text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return Counter({(one.name, *(one.labels[name] for name in sorted(one.labels))): int(one.value) for one in samples})


async def test_requests_are_counted_by_route(owner: AccountClient) -> None:
    before = await read(owner)
    path = f"/api/media/jobs/{uuid4()}/"
    assert (await owner.http.get(path)).status_code == 404
    assert (await owner.http.get(f"/no/such/{uuid4().hex}")).status_code == 404
    assert (await owner.http.request("PROPFIND", "/healthz")).status_code == 405
    assert (await owner.chat("no-such-model")).status_code == 404
    assert (await owner.http.get(CHAT)).status_code == 405
    assert (await owner.http.head("/readyz")).status_code == 200
    after = (await read(owner)) - before
    requests = {key[1:]: count for key, count in after.items() if key[0] == "yout_http_requests_total"}
    assert requests["GET", "/api/media/jobs/{job_uuid}/", "404"] == 1
    assert requests["GET", "other", "404"] == 1
    assert requests["HEAD", "/readyz", "200"] == 1
    assert requests["POST", CHAT, "404"] == 1
    assert requests["GET", CHAT, "405"] == 1
    assert ("other", "/healthz", "405") in requests
    assert after["yout_http_request_seconds_count", CHAT] == 2
    assert after["yout_http_request_seconds_bucket", "+Inf", CHAT] == 2


async def test_errors_of_ours_are_counted_from_nothing(owner: AccountClient) -> None:
    """Prometheus sees no increase in a counter that begins with 1."""
    assert (await owner.http.get("/healthz")).status_code == 200
    counted = await read(owner)
    assert {("yout_http_requests_total", "GET", "/healthz", status) for status in SERVER_ERRORS} <= counted.keys()
    assert {("yout_maintenance_errors_total", task) for task in TASKS} <= counted.keys()


async def test_calls_are_counted_by_wire_and_model(owner: AccountClient) -> None:
    before = await read(owner)
    assert (await owner.chat("test-plain")).status_code == 200
    assert (await owner.chat("test-plain", stream=True)).status_code == 200
    assert "error" in (await owner.chat("test-error-inside", stream=True)).text
    assert (await owner.chat("no-such-model")).status_code == 404
    after = (await read(owner)) - before
    assert after["yout_calls_total", "test-plain", CHAT] == 2
    assert after["yout_calls_total", "test-error-inside", CHAT] == 1
    assert sum(count for key, count in after.items() if key[0] == "yout_calls_total") == 3
    errors = [key for key in after if key[0] == "yout_call_errors_total"]
    assert [(key[2], key[3]) for key in errors] == [("test-error-inside", CHAT)]
    assert after["yout_call_first_output_seconds_count", "plain", "foreign"] == 1
    assert after["yout_call_seconds_count", "plain", "foreign"] == 2


@pytest.mark.parametrize(
    ("token", "given", "passes"),
    [
        (None, None, True),
        ("right", "Bearer right", True),
        ("right", "Bearer wrong", False),
        ("right", "right", False),
        ("right", None, False),
        ("right", "Bearer ri\xe9ht", False),
    ],
)
def test_the_token_of_the_operator(token: str | None, given: str | None, passes: bool) -> None:
    headers = {} if given is None else {"authorization": given}
    request = cast(Request, SimpleNamespace(headers=headers))
    if passes:
        metrics._require_token(request, token)
    else:
        with pytest.raises(CallerUnknown):
            metrics._require_token(request, token)

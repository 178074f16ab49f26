"""The `conftest.py` of an SDK's own test suite: its two clients, which speak to this project's server.

A parameter that the server refuses by name is left out, and the call is made again, until the server takes the rest. At
the end a file has, for each test: what was refused, and whether the test passed or which error ended it.
"""

import importlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

SDK = os.environ["SDK"]
sdk = importlib.import_module(SDK)
SYNC, ASYNC = (getattr(sdk, f"{prefix}{'OpenAI' if SDK == 'openai' else 'Anthropic'}") for prefix in ("", "Async"))
SETTINGS = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["KEY"], "max_retries": 0, "timeout": 30}
errors: list[dict[str, Any]] = []
"""Of the test that runs."""
results: dict[str, dict[str, Any]] = {}
"""By test, without its class and its parameters."""

pytest.register_assert_rewrite("tests.utils")


def _fact(error: Any) -> dict[str, Any]:
    """The body is read as it is: Anthropic's class has no field for the parameter."""
    envelope = error.body if isinstance(error.body, dict) else {}
    inner = envelope.get("error", envelope)
    facts = {"status": error.status_code, "param": inner.get("param"), "code": inner.get("code")}
    return facts | {"request_id": bool(error.request_id), "type": inner.get("type")}


def _without(error: Any, options: Any) -> Any:
    """The options without the parameter that the error names. Raises the error if it names none that was sent."""
    fact, body = _fact(error), options.json_data
    if fact["status"] != 400 or not isinstance(body, dict) or fact["param"] not in body:
        raise error
    errors.append(fact)
    return options.model_copy(update={"json_data": {k: v for k, v in body.items() if k != fact["param"]}})


class Client(SYNC):  # type: ignore[valid-type,misc]
    def request(self, cast_to: Any, options: Any, **more: Any) -> Any:
        while True:
            try:
                return super().request(cast_to, options, **more)
            except sdk.APIStatusError as error:
                options = _without(error, options)


class AsyncClient(ASYNC):  # type: ignore[valid-type,misc]
    async def request(self, cast_to: Any, options: Any, **more: Any) -> Any:
        while True:
            try:
                return await super().request(cast_to, options, **more)
            except sdk.APIStatusError as error:
                options = _without(error, options)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    with Client(**SETTINGS, _strict_response_validation=getattr(request, "param", True)) as opened:
        yield opened


@pytest.fixture(scope="session")
async def async_client(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with AsyncClient(**SETTINGS, _strict_response_validation=getattr(request, "param", True)) as opened:
        yield opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test once. The suite reads vectors as lists of numbers, but its client receives them as base64 by itself:

    such an answer never passes the strict validation, whoever gives it.
    """
    chosen = "loose" if SDK == "openai" else "strict"
    items[:] = [
        item
        for item in items
        if not (parameters := getattr(item, "callspec", None))
        or parameters.id == (chosen if "test_embeddings" in item.nodeid else "strict")
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.when == "call" or report.failed:
        raised = call.excinfo.value if call.excinfo else None
        known = isinstance(raised, sdk.APIStatusError)
        error = None if raised is None else _fact(raised) if known else {"class": type(raised).__name__}
        results[item.nodeid] = {"outcome": report.outcome, "refused": errors.copy(), "error": error}
        errors.clear()
    return report


def pytest_sessionfinish() -> None:
    Path(os.environ["REPORT"]).write_text(json.dumps(results))

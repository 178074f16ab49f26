"""Every error has a status, a code from the closed list, and says nothing it should not."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field

from api import errors as table
from api.error_codes import CODES, TABLE
from domain import errors
from domain.errors import GatewayError, InsufficientCredits


def all_errors(root: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield root
    for child in root.__subclasses__():
        yield from all_errors(child)


def error_of(kind: type[GatewayError]) -> GatewayError:
    if kind in (errors.InsufficientCredits, errors.BelowZero):
        return kind(100, 60, 20)
    if kind in (errors.ModelNotFound, errors.RequestInvalid):
        return kind("nobody")
    if kind is errors.AllowanceUsedUp:
        return kind("nothing is left of today", datetime(2026, 1, 2, tzinfo=UTC))
    return kind()


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_known_code(kind: type[GatewayError]) -> None:
    assert kind in TABLE
    error = table.envelope(table.of(error_of(kind)))["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["message"]
    assert error["code"] is None or error["code"] in CODES
    assert error["code"] is not None or kind is errors.NotFound


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.InsufficientCredits(100, 60, 20), {"x-should-retry": "false"}),
        (errors.InsufficientCredits(100, 60, 40), {"retry-after": "2", "x-should-retry": "true"}),
        (errors.InsufficientCredits(100, 60, 40, "max_credits"), {"x-should-retry": "false"}),
        (errors.RateLimited(retry_after=timedelta(seconds=1.5)), {"retry-after": "2", "retry-after-ms": "1500"}),
        (errors.UpstreamBusy(), {"retry-after": "1", "retry-after-ms": "1000"}),
        (errors.UpstreamError(), {}),
        (
            errors.UpstreamError(retry_after=timedelta(seconds=3)),
            {"retry-after": "3", "retry-after-ms": "3000"},
        ),
        (errors.ServiceUnavailable(), {"retry-after": "2"}),
        (errors.KeyReused(), {"x-should-retry": "false"}),
        (errors.NotFound(), {}),
    ],
)
def test_what_tells_a_client_when_to_try_again(error: GatewayError, headers: dict[str, str]) -> None:
    assert table.headers(error) == headers


def test_a_402_says_what_was_needed_and_what_there_is() -> None:
    error = orjson.loads(table.openai_error(table.of(errors.InsufficientCredits(100, 60, 20)), "req_1"))["error"]
    assert (error["required"], error["available"], error["held"]) == (100, 60, 20)
    assert (error["limit_source"], error["type"]) == ("balance", "insufficient_quota")


def test_a_spent_key_budget_is_not_to_be_retried() -> None:
    assert table.headers(InsufficientCredits(100, 60, 1000, "key_budget")) == {"x-should-retry": "false"}


def test_no_package_has_an_error_without_a_status() -> None:
    """Also of modules that nothing here imports: by the text of the classes."""
    root = Path(table.__file__).resolve().parents[1]
    packages = (
        "api",
        "gateway",
        "domain",
        "catalog",
        "db",
        "providers",
        "outbound",
        "programs",
        "tracing",
        "storage",
        "temporal",
        "workflows",
        "activities",
    )
    bases: dict[str, set[str]] = {}
    for path in (path for package in packages for path in (root / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                named = {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases}
                bases[node.name] = bases.get(node.name, set()) | named  # some have one name in two modules
    ours = {"GatewayError"}
    while more := {name for name, parents in bases.items() if parents & ours} - ours:
        ours |= more
    assert ours == {kind.__name__ for kind in TABLE}
    assert len(ours) > 20


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1)] = "a"
    until: datetime | None = None
    of: UUID | None = None
    word: Literal["erase", "keep"] = "keep"
    parts: Annotated[list[int], Field(min_length=1)] = [1]
    grace: Annotated[int, Field(ge=0)] = 0


@pytest.fixture
def described() -> TestClient:
    app = FastAPI()
    table.install(app)

    @app.post("/things/{thing_id}")
    async def change(thing_id: UUID, body: _Body) -> None:
        """Takes what it is sent."""

    return TestClient(app)


_SOME_ID = "01a2264d-8557-7de6-9b13-16a63c7995fb"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "The request has no body. Send a JSON object."),
        ({"name": ""}, "'name' must not be empty."),
        ({"name": 1}, "'name' must be a string."),
        ({"nmae": "a"}, "'nmae' is not a parameter of this endpoint."),
        ({"until": "canary"}, "'until' must be a time with its zone, such as 2026-01-31T12:00:00Z."),
        ({"of": "canary"}, "'of' must be a UUID."),
        ({"word": "canary"}, "'word' must be 'erase' or 'keep'."),
        ({"parts": []}, "'parts' must not be empty."),
        ({"grace": "canary"}, "'grace' must be a whole number."),
        ({"grace": -1}, "'grace' must be at least 0."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_field_is_described_in_our_words(described: TestClient, body: object, message: str) -> None:
    answer = described.post(f"/things/{_SOME_ID}", json=body) if body else described.post(f"/things/{_SOME_ID}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


def test_an_id_that_cannot_be_one_is_as_missing(described: TestClient) -> None:
    answer = described.post("/things/canary", json={"name": ""})
    assert answer.status_code == 404
    assert answer.json()["error"] | {"message": ""} == table.envelope(table.of(errors.NotFound()))["error"] | {
        "message": ""
    }
    assert "canary" not in answer.text

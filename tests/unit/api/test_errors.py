"""Every error has a status, a code from the closed list, and says nothing it should not."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from api import errors as table
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
    assert kind in table.STATUS
    error = table.envelope(table.of(error_of(kind)))["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["message"]
    assert error["code"] is None or error["code"] in table.CODES
    assert error["code"] is not None or kind is errors.NotFound


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.InsufficientCredits(100, 60, 20), {"x-should-retry": "false"}),
        (errors.InsufficientCredits(100, 60, 40), {"retry-after": "2", "x-should-retry": "true"}),
        (errors.InsufficientCredits(100, 60, 40, "max_credits"), {"x-should-retry": "false"}),
        (errors.RateLimited(retry_after=timedelta(seconds=1.5)), {"retry-after": "2", "retry-after-ms": "1500"}),
        (errors.UpstreamBusy(), {"retry-after": "1", "retry-after-ms": "1000"}),
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
    assert ours == {kind.__name__ for kind in table.STATUS}
    assert len(ours) > 20

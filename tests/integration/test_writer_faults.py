"""A fault of ours in the ledger's writer: the lane is started again, and nobody waits for ever."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from db.engine import Database
from db.writer import MAX_COMMITS, LedgerWriter
from domain.errors import GatewayError
from domain.results import Closed, Reserved
from tests.integration.test_fair_parking import ACCOUNT, locked
from tests.integration.test_ledger import outcome, proven
from tests.support.bank import balance, open_account, reserve, settle
from tests.support.stack import eventually

PLACES = [("_park", 1), ("_serve", 1), ("_serve_apart", 1), ("_serve_apart", 3)]


def fail(times: int, really: Callable[..., Any]) -> Callable[..., Any]:
    """A planted fault, so many times; then the real thing."""
    left = iter(range(times))

    def planted(*arguments: object, **named: object) -> Any:
        if next(left, None) is not None:
            raise RuntimeError("planted")
        return really(*arguments, **named)

    return planted


def reports(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if "failed and was started again" in line["event"]]


@pytest.mark.parametrize("planted", PLACES)
async def test_a_lane_that_fails_serves_again_and_charges_once(
    database: Database,
    ledger: LedgerWriter,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    planted: tuple[str, int],
) -> None:
    method, times = planted
    customer = await open_account(database, ledger, 1000)
    monkeypatch.setattr(ledger, method, fail(times, getattr(ledger, method)))
    with capture_logs() as lines:
        async with locked(database_url, ACCOUNT, customer.account_id):  # so that both lanes have to serve it
            answer = asyncio.create_task(outcome(ledger, reserve(customer, 100)))
            await eventually(lambda: _true(bool(reports(lines))))
        held = await answer
    assert isinstance(held, Reserved)
    assert isinstance(await outcome(ledger, settle(customer, held.hold_id, 40)), Closed)
    assert await balance(database_url, customer) == (960, 0, 0)
    (report,) = reports(lines)
    assert report["remedy"]
    assert await eventually(lambda: _true(ledger.available))
    assert (await proven(database)).clean


async def test_a_lane_that_fails_for_good_answers_with_an_error_and_is_not_ready(
    database: Database, ledger: LedgerWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await open_account(database, ledger, 1000)
    really = ledger._finish
    monkeypatch.setattr(ledger, "_finish", fail(MAX_COMMITS, really))
    with capture_logs() as lines:
        answer = asyncio.create_task(outcome(ledger, reserve(customer, 100)))
        await eventually(lambda: _true(not ledger.available))
        refused = await answer
    assert type(refused) is GatewayError
    assert len(reports(lines)) == 1
    assert isinstance(await outcome(ledger, reserve(customer, 100)), Reserved)
    assert await eventually(lambda: _true(ledger.available))


async def _true(value: bool) -> bool:
    return value

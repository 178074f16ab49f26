"""A process with another master secret than its database's says so when it starts, once, with what to do."""

import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from db import accounts, data_keys
from db.engine import Database, Session
from domain.errors import ServiceUnavailable
from domain.sealing import Wrapping
from gateway import secret_check
from gateway.secret_check import check_secret
from tests.support.stack import Stack, eventually

OLD, NEW = "the master secret of the beginning, long", "the master secret that came after, long"
OTHER = os.urandom(32).hex()
"""Of another installation."""


class Reports:
    def __init__(self) -> None:
        self.reported: list[tuple[str, str]] = []

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        assert remedy
        self.reported.append((what, where))

    def clear(self, where: str) -> None:
        raise AssertionError(where)


async def reported(database: Database, master: str, previous: Sequence[str] = ()) -> list[tuple[str, str]]:
    reports = Reports()
    await check_secret(database, Wrapping.of(master, previous), reports)
    return reports.reported


async def open_account(database: Database, master: str, number: int) -> None:
    async with database.transaction() as session:
        wrapping, email = Wrapping.of(master), f"{number}@example.test"
        account_id = uuid.UUID(int=number)
        await accounts.create(session, wrapping, account_id=account_id, user_id=uuid.uuid4(), email=email)


async def test_content_waits_for_the_secret_that_opens_it(database: Database) -> None:
    """Missing is not the word for it, nor is it a fault of ours."""
    await open_account(database, OLD, 1)
    account_id = uuid.UUID(int=1)
    async with database.transaction() as session:
        epoch, sealed = await data_keys.Sealing(Wrapping.of(OLD)).seal(session, account_id, b"word", aad="place")
        other = data_keys.Sealing(Wrapping.of(OTHER))
        with pytest.raises(ServiceUnavailable):
            await other.current(session, account_id)
        with pytest.raises(ServiceUnavailable):
            await other.open(session, account_id, epoch, sealed, aad="place")


WRONG = [("the master secret is not this database's", "YOUT_SECRET_KEY")]


async def test_a_secret_that_opens_no_key_or_only_some_is_told(database: Database) -> None:
    assert await reported(database, OTHER) == []  # there is nothing yet
    await open_account(database, OLD, 1)
    await open_account(database, NEW, 2)
    assert await reported(database, NEW, [OLD]) == await reported(database, OLD, [NEW]) == []
    for master, previous in ((OTHER, []), (OLD, []), (NEW, []), (OTHER, [NEW]), (NEW, [OTHER])):
        assert await reported(database, master, previous) == WRONG


async def test_it_waits_for_a_database_that_is_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is reported, and does not end the check."""
    await open_account(database, OLD, 1)
    opened_by, away = data_keys.opened_by, [ServiceUnavailable("away"), RuntimeError("no such table")]

    async def unavailable(session: Session, wrapping: Wrapping) -> bool:
        if away:
            raise away.pop()
        return await opened_by(session, wrapping)

    monkeypatch.setattr(secret_check, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(data_keys, "opened_by", unavailable)
    assert await reported(database, OTHER) == [("the master secret was not checked", "master secret check"), *WRONG]
    assert not away


async def test_an_api_process_logs_it(database_url: str, tmp_path: Path) -> None:
    stack = Stack(database_url, tmp_path / "state")
    stack.account()

    async def lines() -> list[dict[str, Any]]:
        logged = [json.loads(line) for line in stack.log("api").splitlines()]
        return [line for line in logged if line["level"] == "error"]

    with stack.running("api", {"YOUT_SECRET_KEY": OTHER}):
        (line,) = await eventually(lines)
    assert (line["event"], line["where"]) == WRONG[0]
    assert "YOUT_PREVIOUS_SECRET_KEYS" in line["remedy"]
    assert OTHER not in stack.log("api")

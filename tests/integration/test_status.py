"""`yout status` and `yout top`: what one screen shows, with Temporal and without it."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner

from cli import status_screen
from cli.command import yout
from cli.status import Standing
from db.audit import Audits
from db.engine import Database
from db.writer import LedgerWriter
from dev import ports
from dev.temporal import EmbeddedTemporal
from domain.media import Kind
from temporal.rounds import LastRound
from tests.support.bank import open_account, reserve
from tests.support.stack import ROOT, Stack
from workflows.audit import SCHEDULE_ID
from workflows.options import QUEUES

NOW = datetime.now(UTC)


@pytest.fixture
async def stack(database: Database, ledger: LedgerWriter, app_url: str, tmp_path: Path) -> Stack:
    """With two accounts, one open hold and a clean audit."""
    customer = await open_account(database, ledger, 1000)
    await open_account(database, ledger, 500)
    await ledger.ask(reserve(customer, 100))
    await Audits(database).run()
    return Stack(app_url, tmp_path / "state")


def run(stack: Stack, *words: str) -> str:
    result = CliRunner().invoke(yout, words, env=stack.environment)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("command", ["status", "top"])
def test_figures_without_temporal(stack: Stack, command: str) -> None:
    shown = json.loads(run(stack, command, "--json"))
    assert (shown["temporal_up"], shown["queues"], shown["rounds"]) == (False, None, None)
    accounts = shown["accounts"]
    assert (accounts["available"], accounts["held"]) == (1400, 100)
    assert (shown["holds"]["open"], shown["holds"]["open_credits"]) == (1, 100)
    assert shown["audit"]["clean"] is True
    assert shown["jobs"].keys() == {kind.value for kind in Kind}
    assert shown["deliveries"] == {
        "pending": 0,
        "due": 0,
        "failed": 0,
        "disabled_endpoints": 0,
        "oldest_due_seconds": 0,
    }


@pytest.mark.parametrize("words", [("status",), ("top", "--once")])
def test_the_screen(stack: Stack, words: tuple[str, ...]) -> None:
    screen = run(stack, *words)
    assert "1,400 credits, and 100 held" in screen
    assert "1 open, 100 credits" in screen
    assert "ago: clean" in screen
    assert "Temporal does not answer: `yout doctor` says what to do" in screen
    assert "tasks wait" not in screen
    assert screen.isascii()
    assert max(map(len, screen.splitlines())) <= status_screen.WIDTH
    assert not any(line.endswith(" ") for line in screen.splitlines())


def _schedule(minutes: int, *, paused: bool = False) -> LastRound:
    """A schedule that was made so long ago."""
    return LastRound(SCHEDULE_ID, exists=True, paused=paused, made_at=NOW - timedelta(minutes=minutes))


ROUNDS: dict[str, tuple[list[LastRound] | None, bool]] = {
    "new": ([_schedule(19)], False),
    "overdue": ([_schedule(21)], True),
    "paused": ([_schedule(19, paused=True)], True),
    "missing": ([LastRound(SCHEDULE_ID)], True),
    "Temporal is away": (None, True),
}


@pytest.mark.parametrize("case", ROUNDS)
def test_a_missing_audit_is_red_but_in_a_new_installation(case: str) -> None:
    rounds, red = ROUNDS[case]
    books = status_screen._books(cast(Standing, SimpleNamespace(at=NOW, rounds=rounds)), None)
    assert books.plain.startswith("no audit yet")
    assert ("red" in str(books.style)) == red


@pytest.fixture(scope="module")
def temporal() -> Iterator[str]:
    """The address of a server of its own."""
    with EmbeddedTemporal.temporary() as server:
        yield server.address


@pytest.mark.parametrize("words", [("status",), ("top", "--once"), ("status", "--json")], ids=" ".join)
def test_status_shows_the_rest_while_the_database_is_away(words: Sequence[str], temporal: str, tmp_path: Path) -> None:
    away = Stack(f"postgresql://yout:HIDDEN@127.0.0.1:{ports.free()}/yout", tmp_path / "state", temporal)
    result = CliRunner().invoke(yout, words, env=away.environment)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: nothing listens there for the database (127.0.0.1:")
    assert "HIDDEN" not in result.output
    if "--json" in words:
        shown = json.loads(result.stdout)
        assert (shown["database_up"], shown["temporal_up"]) == (False, True)
        assert {shown[name] for name in status_screen.STORED} == {None}
        assert {one["queue"] for one in shown["queues"]} == set(QUEUES)
    else:
        assert "database  nothing listens there for the database" in result.stdout
        assert "tasks wait" in result.stdout


def test_the_document_has_the_same_names_with_and_without_the_database(stack: Stack) -> None:
    shown = json.loads(run(stack, "status", "--json"))
    assert shown["database_up"] is True
    assert set(status_screen.STORED) <= shown.keys()


def test_live_says_that_the_database_is_away_and_ends_well(tmp_path: Path) -> None:
    """In a terminal, as somebody at a keyboard ends it."""
    away = Stack(f"postgresql://yout:HIDDEN@127.0.0.1:{ports.free()}/yout", tmp_path / "state")
    ours, theirs = pty.openpty()
    environment = away.environment | {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
    command = [sys.executable, "-m", "cli", "top"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"nothing listens there for the database" not in shown:
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while part := os.read(ours, 65536):
                shown += part
        assert process.wait() == 0
    os.close(ours)
    assert b"error" not in shown

"""`yout status` and `yout top`: what one screen shows, with Temporal and without it."""

import json
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
from domain.media import Kind
from temporal.rounds import LastRound
from tests.support.bank import open_account, reserve
from tests.support.stack import Stack
from workflows.audit import SCHEDULE_ID

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
    books = status_screen._books(cast(Standing, SimpleNamespace(audit=None, at=NOW, rounds=rounds)))
    assert books.plain.startswith("no audit yet")
    assert ("red" in str(books.style)) == red


def test_top_needs_a_terminal(stack: Stack) -> None:
    result = CliRunner().invoke(yout, ["top"], env=stack.environment)
    assert (result.exit_code, result.stderr) == (
        2,
        "error: `yout top` needs a terminal: use --once, or `yout status`\n",
    )


def test_live_says_that_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    with status_screen.live() as update:
        update(None)
    assert "The database does not answer" in capsys.readouterr().out

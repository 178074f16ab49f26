"""Draws how everything stands, as lines and tables of a terminal, or as JSON."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.status import Standing, Stored
from cli.task_queues import by_queue
from cli.terminal import duration, say
from db.tables import AuditRow
from domain.counts import counted
from domain.faults import Fault
from domain.media import State
from domain.task_queues import Backlog
from workflows.audit import SCHEDULE_ID

WIDTH = 100
"""Columns, where there is no terminal."""
LATE = timedelta(minutes=20)
"""An audit or a round that began longer ago did not begin when it was due. Grants are given once an hour."""
STALE_GRANTS = timedelta(hours=3)
STORED = ("accounts", "holds", "audit", "jobs", "jobs_overdue", "outputs_overdue", "deliveries", "worker_faults")
"""Of the document: what the database has. All null while it cannot be read."""
ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


def document(standing: Standing) -> dict[str, Any]:
    stored = standing.stored
    return {
        "at": standing.at,
        "database_up": isinstance(stored, Stored),
        **(_stored(stored) if isinstance(stored, Stored) else dict.fromkeys(STORED)),
        "temporal_up": standing.backlogs is not None,
        "queues": _queues(standing),
        "rounds": None if standing.rounds is None else [asdict(one) for one in standing.rounds],
    }


def _stored(stored: Stored) -> dict[str, Any]:
    audit = stored.audit
    return {
        "accounts": asdict(stored.accounts),
        "holds": asdict(stored.holds),
        "audit": None
        if audit is None
        else {
            "began_at": audit.began_at,
            "clean": audit.clean,
            "whole": audit.whole,
            "drift_credits": audit.drift_credits,
            "findings": sum(audit.counts.values()),
        },
        "jobs": {
            one.kind.value: {"queued": one.queued, "running": one.running, "oldest_queued_seconds": _seconds(one.age)}
            | {f"{state.value}_last_day": stored.recent_jobs.by_kind[one.kind][state] for state in ENDED}
            for one in stored.open_jobs
        },
        "jobs_overdue": stored.overdue.jobs,
        "outputs_overdue": stored.overdue.outputs,
        "deliveries": {
            **{name: value for name, value in asdict(stored.deliveries).items() if name != "age"},
            "oldest_due_seconds": _seconds(stored.deliveries.age),
        },
        "worker_faults": [{"what": one.what, "where": one.where, "remedy": one.remedy} for one in stored.faults],
    }


def _queues(standing: Standing) -> list[dict[str, Any]] | None:
    if standing.backlogs is None:
        return None
    return [
        {
            "queue": one.queue,
            "tasks": one.tasks,
            "waiting": one.waiting,
            "oldest_seconds": _seconds(one.age),
            "workers": one.workers,
        }
        for one in standing.backlogs
    ]


def show(standing: Standing) -> None:
    """Print the screen once, in the encoding and the width of the terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH, no_color=True)
    with console.capture() as drawn:
        console.print(screen(standing))
    for line in drawn.get().rstrip("\n").split("\n"):
        say(line.rstrip())


@contextmanager
def live() -> Iterator[Callable[[Standing], None]]:
    """Give a function that draws the screen anew.

    What was there before is there again in the end.
    """
    with Live(Text("reading ..."), console=Console(), screen=True, auto_refresh=False) as display:
        yield lambda standing: display.update(screen(standing), refresh=True)


def screen(standing: Standing) -> RenderableType:
    stored = standing.stored
    jobs: list[RenderableType] = [Text(""), _jobs(stored)] if isinstance(stored, Stored) else []
    queues: list[RenderableType] = [] if standing.backlogs is None else [Text(""), _backlog(standing.backlogs)]
    return Group(_summary(standing), *jobs, *queues)


def _summary(standing: Standing) -> Table:
    stored = standing.stored
    lines = Table.grid(padding=(0, 2))
    lines.add_row("time", Text(f"{standing.at:%Y-%m-%d %H:%M:%S} UTC"))
    if isinstance(stored, Stored):
        _add_stored(lines, standing, stored)
    else:
        lines.add_row("database", _ailing(stored))
    lines.add_row("rounds", _rounds(standing))
    for fault in stored.faults if isinstance(stored, Stored) else ():
        lines.add_row("process", _ailing(fault))
    return lines


def _add_stored(lines: Table, standing: Standing, stored: Stored) -> None:
    accounts, holds, waiting = stored.accounts, stored.holds, stored.deliveries
    some = _those((accounts.suspended, "suspended"), (accounts.without_credits, "without credits"))
    lines.add_row(
        "accounts", f"{accounts.number:,}{some}; {counted(accounts.available, 'credit')}, and {accounts.held:,} held"
    )
    overdue = _those((holds.overdue, "that the sweeper cannot end"))
    lines.add_row(
        "holds",
        _marked(f"{holds.open:,} open, {counted(holds.open_credits, 'credit')}{overdue}", bad=holds.overdue > 0),
    )
    lines.add_row("books", _books(standing, stored.audit))
    late = f", the oldest for {duration(waiting.age)}" if waiting.due else ""
    text = f"{waiting.pending:,} wait, {waiting.due:,} due{late}; {waiting.failed:,} failed in the last day"
    lines.add_row("webhooks", text + _those((waiting.disabled_endpoints, "endpoints disabled")))


def _ailing(fault: Fault) -> Text:
    return _marked(f"{fault.what} ({fault.where}): `yout doctor` says what to do", bad=True)


def _books(standing: Standing, audit: AuditRow | None) -> Text:
    if audit is None:
        return _marked("no audit yet: a worker does one every ten minutes", bad=not _is_new(standing))
    age = standing.at - audit.began_at
    when = f"audit {duration(age)} ago"
    if audit.clean:
        return _marked(f"{when}: clean", bad=age > LATE)
    findings = sum(audit.counts.values())
    return _marked(
        f"{when}: DRIFT of {counted(audit.drift_credits, 'credit')}, {counted(findings, 'finding')}: `yout audit`",
        bad=True,
    )


def _is_new(standing: Standing) -> bool:
    """Whether the first audit is still to come: its schedule is there, not paused, and young."""
    audits = [one for one in standing.rounds or () if one.schedule == SCHEDULE_ID and not one.paused]
    return any(one.made_at is not None and standing.at - one.made_at <= LATE for one in audits)


def _rounds(standing: Standing) -> Text:
    if standing.rounds is None:
        return _marked("Temporal does not answer: `yout doctor` says what to do", bad=True)
    words = Text()
    for number, one in enumerate(standing.rounds):
        age = None if one.began_at is None else standing.at - one.began_at
        state = (
            "missing"
            if not one.exists
            else "paused"
            if one.paused
            else "never"
            if age is None
            else f"{duration(age)} ago"
        )
        limit = STALE_GRANTS if one.schedule.endswith("grants") else LATE
        words.append("; " if number else "")
        words.append(_marked(f"{one.schedule} {state}", bad=not one.exists or one.paused or (age or limit) > limit))
    return words


def _jobs(stored: Stored) -> Table:
    table = _table("jobs", "queued", "oldest", "running", *(f"{state.value}, last day" for state in ENDED))
    for one in stored.open_jobs:
        recent = stored.recent_jobs.by_kind[one.kind]
        oldest = duration(one.age) if one.queued else "-"
        numbers = [f"{number:,}" for number in (one.running, *(recent[state] for state in ENDED))]
        table.add_row(one.kind.value, f"{one.queued:,}", oldest, *numbers)
    if stored.overdue.jobs or stored.overdue.outputs:
        jobs, outputs = stored.overdue.jobs, stored.overdue.outputs
        stuck = f"{counted(jobs, 'job')}, and the outputs of {outputs:,}, cannot be ended: see the log"
        table.caption = _marked(stuck, bad=True)
    return table


def _backlog(backlogs: Sequence[Backlog]) -> Table:
    table = _table("queue", "tasks wait", "oldest", "workers")
    for queue, both in by_queue(backlogs).items():
        waiting, workers = sum(one.waiting for one in both), min(one.workers for one in both)
        oldest = duration(max(one.age for one in both)) if waiting else "-"
        table.add_row(queue, f"{waiting:,}", oldest, _marked(f"{workers:,}", bad=not workers))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for head in numbers:
        table.add_column(head, justify="right", overflow="fold")  # narrow terminals: nothing is cut
    return table


def _marked(text: str, *, bad: bool) -> Text:
    return Text(text, style="bold red" if bad else "")


def _those(*parts: tuple[int, str]) -> str:
    named = ", ".join(f"{number:,} {words}" for number, words in parts if number)
    return f" ({named})" if named else ""


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())

"""Reports of margins add up whole tables: they may take longer than what callers wait for."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from cli import providers
from cli.usage import usage_report
from db import margins
from domain.margins import By, Margin, Span

REPORTS: dict[str, Callable[[], Any]] = {
    "usage": lambda: CliRunner().invoke(usage_report, ["--json"], catch_exceptions=False),
    "providers": providers._billed,
}


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_has_minutes(report: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    times, real = list[str](), margins.margins

    async def noted(session: AsyncSession, by: By, span: Span) -> list[Margin]:
        rows = await real(session, by, span)
        times.append((await (await session.connection()).execute(text("SHOW statement_timeout"))).scalar_one())
        return rows

    monkeypatch.setattr(margins, "margins", noted)
    monkeypatch.setenv("YOUT_DATABASE_URL", database_url)
    REPORTS[report]()
    assert times == ["10min"]

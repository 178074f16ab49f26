"""What workers report of faults: every process and command reads it in the database."""

import asyncio
import json
from pathlib import Path

import httpx2
import psycopg
import pytest
from click.testing import CliRunner

from cli.command import yout
from db import worker_faults
from db.engine import Database
from dev import ports
from dev.postgres import EmbeddedPostgres
from domain.faults import Fault
from gateway.provider_faults import WORDS
from gateway.route_states import Failure
from tests.support.doubles.entries import text_model
from tests.support.own_stack import own_stack
from tests.support.stack import Stack, eventually

REFUSED = Fault("a provider does not accept our key", "lab", "set another one")
FULL = Fault("the object store has no room for more", "YOUT_STORAGE_URL (write)", "make room there")


async def showing(database: Database) -> list[Fault]:
    async with database.reading() as session:
        return await worker_faults.showing(session)


async def test_a_fault_shows_while_workers_report_it(database: Database, database_url: str) -> None:
    await worker_faults.report(database, [])
    assert await showing(database) == []
    await asyncio.gather(*(worker_faults.report(database, [FULL, REFUSED]) for _ in range(3)))
    assert await showing(database) == [REFUSED, FULL]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE worker_faults SET seen_at = now() - interval '4 minutes'")
        assert await showing(database) == []
        await worker_faults.report(database, [REFUSED])
        assert await showing(database) == [REFUSED]
        connection.execute("UPDATE worker_faults SET seen_at = now() - interval '2 days'")
        await worker_faults.report(database, [FULL])
        assert connection.execute("SELECT what FROM worker_faults").fetchall() == [(FULL.what,)]


async def test_a_worker_reports_again_and_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_faults, "PAUSE", worker_faults.PAUSE * 0)
    reports: list[list[Fault]] = [[], [FULL], [REFUSED]]
    done = asyncio.Event()

    def next_report() -> list[Fault]:
        if not reports:
            done.set()
        return reports.pop(0) if reports else []

    watching = asyncio.create_task(worker_faults.watch(database, next_report))
    async with asyncio.timeout(60):
        await done.wait()
    watching.cancel()
    assert await showing(database) == [REFUSED, FULL]


async def test_commands_say_what_a_worker_meets(database: Database, app_url: str, tmp_path: Path) -> None:
    stack = Stack(app_url, tmp_path / "state")
    await worker_faults.report(database, [FULL])
    run = CliRunner()
    doctor = await asyncio.to_thread(run.invoke, yout, ["doctor", "--json"], env=stack.environment)
    [found] = [row for row in json.loads(doctor.stdout)["checks"] if row["check"] == "reported faults"]
    assert (found["level"], found["remedy"]) == ("fault", FULL.remedy)
    assert found["what"] == f"{FULL.what} ({FULL.where}), says a process"
    status = await asyncio.to_thread(run.invoke, yout, ["status", "--json"], env=stack.environment)
    assert json.loads(status.stdout)["worker_faults"] == [
        {"what": FULL.what, "where": FULL.where, "remedy": FULL.remedy}
    ]
    screen = await asyncio.to_thread(run.invoke, yout, ["status"], env=stack.environment)
    assert f"{FULL.what} ({FULL.where}): `yout doctor` says what to do" in " ".join(screen.stdout.split())


async def test_an_api_process_reports_what_it_meets_at_providers(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without a worker that calls it too, no other line of the doctor would say it."""
    provider = f'[providers.lab]\nkind = "openai"\nbase_url = "http://127.0.0.1:{ports.free()}/v1"\n'
    stack = own_stack(postgres, tmp_path_factory, "reports", provider + text_model("lab-chat", "lab/any"))
    body = {"model": "lab-chat", "messages": [{"role": "user", "content": "Hello"}]}
    with stack.running("api"):
        headers = {"authorization": f"Bearer {await asyncio.to_thread(stack.account)}"}
        async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as http:

            async def reported() -> list[Fault]:
                assert (await http.post("/v1/chat/completions", json=body)).status_code >= 500
                async with await psycopg.AsyncConnection.connect(stack.owner_url) as connection:
                    rows = await connection.execute("SELECT what, place, remedy FROM worker_faults")
                    return [Fault(*row) for row in await rows.fetchall()]

            what, remedy = WORDS[Failure.CONNECTION]
            assert await eventually(reported, 120) == [Fault(what, "lab", remedy)]

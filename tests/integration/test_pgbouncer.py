"""Behind the real PgBouncer: what the guide says of it is so."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from cli.command import yout
from db.connections import _PINNED
from tests.support import pgbouncer
from tests.support.stack import Stack, eventually

CALL = {"model": "demo-chat", "messages": [{"role": "user", "content": "Count to 3."}]}
CREDITS = 100_000
SETTINGS = {"YOUT_SMTP_URL": "", "YOUT_EMAIL_VERIFICATION": "false"}


@pytest.fixture
def settled_url(app_url: str, database_url: str) -> str:
    """The role has the settings that each connection brings, which the pooler drops."""
    alter = sql.SQL("ALTER ROLE yout_app IN DATABASE {} SET {} = {}")
    with psycopg.connect(database_url, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        for name, value in _PINNED.items():
            plain = sql.Literal(value.replace("\\ ", " "))
            connection.execute(alter.format(database, sql.Identifier(name), plain))
    return app_url


def checks(stack: Stack) -> dict[str, tuple[str, str]]:
    result = CliRunner().invoke(yout, ["doctor", "--json"], env=stack.environment)
    return {one["check"]: (one["level"], one["what"]) for one in json.loads(result.stdout)["checks"]}


async def called(http: httpx2.AsyncClient) -> tuple[int, int]:
    """Return the status, and the credits that were charged."""
    answer = await http.post("/v1/chat/completions", json=CALL)
    return answer.status_code, answer.json()["yout"]["credits_charged"] if answer.is_success else 0


async def test_of_sessions_all_works_and_it_may_be_killed(settled_url: str, tmp_path: Path) -> None:
    with pgbouncer.before(settled_url, tmp_path, "session") as pooler:
        stack = Stack(pooler.pooled_url, tmp_path / "state", extra=SETTINGS)
        found = await asyncio.to_thread(checks, stack)
        assert (found["database"][0], found["time zone"][0], "pooler" in found) == ("ok", "ok", False), found
        with stack.running("api"):
            headers = {"authorization": f"Bearer {await asyncio.to_thread(stack.account, CREDITS)}"}
            async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as http:
                results = list(await asyncio.gather(*(called(http) for _ in range(20))))
                assert {status for status, _ in results} == {200}
                under_way = [asyncio.create_task(called(http)) for _ in range(20)]
                pooler.kill()
                results += await asyncio.gather(*under_way)
                assert {status for status, _ in results} == {200, 503}
                pooler.start()

                async def served() -> bool:
                    results.append(await called(http))
                    return results[-1][0] == 200

                assert await eventually(served)

                async def settled() -> Any:
                    limit = (await http.get("/api/chat/limit/")).json()
                    return limit["held"] == 0 and limit

                limit = await eventually(settled)
                assert limit, "what the calls held is still held"
        assert (await asyncio.to_thread(stack.yout, "audit"))["clean"] is True
    assert CREDITS - limit["balance"] >= sum(charged for _, charged in results)


async def test_of_transactions_the_doctor_says_what_to_do(settled_url: str, tmp_path: Path) -> None:
    with pgbouncer.before(settled_url, tmp_path, "transaction") as pooler:
        found = await asyncio.to_thread(checks, Stack(pooler.pooled_url, tmp_path / "state", extra=SETTINGS))
    assert found["pooler"][0] == "fault"
    assert "a transaction at a time" in found["pooler"][1]

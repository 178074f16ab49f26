"""`yout doctor` on real servers: all is well, and each part is away or wrong."""

import asyncio
import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

import cli.checks.database
import cli.checks.deployment
import cli.doctor
from cli.checks.finding import Finding, ok
from cli.command import yout
from db import connections
from dev import ports
from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from settings import Settings
from temporal import attributes, namespaces
from tests.support.media_stack import maintenance_of, temporal_of
from tests.support.stack import AWAY, ROOT, SECRET, Stack
from workflows import audit, grants, maintenance, schedules
from workflows.options import MAINTENANCE

HIDDEN = "a-password-that-nobody-may-read"
Checks = dict[str, tuple[str, str, str | None]]
"""Level, what and remedy by the check's name."""


@pytest.fixture(scope="module")
def temporal() -> Iterator[EmbeddedTemporal]:
    """A server that nobody has set up."""
    with EmbeddedTemporal.temporary() as server:
        yield server


@pytest.fixture
def stack(app_url: str, tmp_path: Path) -> Stack:
    return Stack(app_url, tmp_path / "state", extra={"YOUT_SMTP_URL": "", "YOUT_EMAIL_VERIFICATION": "false"})


def examined(stack: Stack, **more: str) -> tuple[int, Checks]:
    result = CliRunner().invoke(yout, ["doctor", "--json"], env=stack.environment | more)
    assert HIDDEN not in result.output
    document = json.loads(result.stdout)
    assert document["well"] == (result.exit_code == 0)
    for row in document["checks"]:
        assert (row["level"] == "ok") == (row["remedy"] is None), row
    return result.exit_code, {row["check"]: (row["level"], row["what"], row["remedy"]) for row in document["checks"]}


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_temporal_before_and_after_its_set_up(stack: Stack, temporal: EmbeddedTemporal) -> None:
    stack.temporal_address = temporal.address
    code, checks = examined(stack)
    assert (code, checks["temporal"][0]) == (1, "ok")
    assert checks["search attributes"][0] == "fault"
    assert "--name YoutState --type Keyword" in (checks["search attributes"][2] or "")
    assert checks["workers"][0] == "warn"

    async def set_up() -> None:
        client = await temporal_of(temporal)
        await attributes.ensure(client)
        await namespaces.ensure(upkeep := await maintenance_of(client))
        await grants.ensure_schedule(upkeep)
        await maintenance.ensure_schedules(upkeep)

    asyncio.run(set_up())
    code, checks = examined(stack)
    assert (code, checks["search attributes"][0]) == (0, "ok")
    assert checks["schedules"][:2] == ("warn", "yout-audit: not there, so that no round begins")

    async def set_up_and_paused() -> None:
        upkeep = await maintenance_of(await temporal_of(temporal))
        await audit.ensure_schedule(upkeep)
        await upkeep.get_schedule_handle(audit.SCHEDULE_ID).pause()

    asyncio.run(set_up_and_paused())
    code, checks = examined(stack)
    assert (code, checks["schedules"][0]) == (0, "warn")
    assert checks["schedules"][1].startswith("yout-audit: paused by somebody")
    assert f"--unpause --schedule-id {audit.SCHEDULE_ID} --namespace yout-maintenance" in (checks["schedules"][2] or "")
    assert [name for name, (level, _, _) in checks.items() if level == "warn"] == [
        "durability",  # the tests' server writes nothing to disk
        "schedules",
        "workers",
        "public address",
    ]
    _, checks = examined(stack, YOUT_TEMPORAL_NAMESPACE="elsewhere")
    assert checks["temporal"][:2] == ("fault", f"Temporal has no namespace elsewhere ({temporal.address})")


def test_schedules_that_a_worker_has_put_among_the_jobs(stack: Stack, temporal: EmbeddedTemporal) -> None:
    """It may not make the namespace of maintenance: doctor and status read the same."""
    stack.temporal_address, nowhere = temporal.address, {"YOUT_TEMPORAL_MAINTENANCE_NAMESPACE": "nowhere"}
    names = (maintenance.SCHEDULE_ID, audit.SCHEDULE_ID, grants.SCHEDULE_ID)

    async def put() -> None:
        jobs = await temporal_of(temporal)
        await maintenance.ensure_schedules(jobs)
        await audit.ensure_schedule(jobs)
        await grants.ensure_schedule(jobs)

    async def removed() -> None:
        await schedules.remove(await temporal_of(temporal), names, MAINTENANCE)

    asyncio.run(put())
    try:
        _, checks = examined(stack, **nowhere)
        shown = CliRunner().invoke(yout, ["status", "--json"], env=stack.environment | nowhere)
    finally:
        asyncio.run(removed())
    assert checks["maintenance namespace"][0] == "warn"
    assert checks["schedules"][:2] == ("ok", "all 3 are there, and none is paused")
    rounds = {one["schedule"]: (one["exists"], one["namespace"]) for one in json.loads(shown.stdout)["rounds"]}
    assert rounds == dict.fromkeys(names, (True, "default"))


def test_what_checks_need_is_imported_before_their_time_runs() -> None:
    """On a busy machine the imports take longer than the checks may, and a sound catalog was called a fault."""
    names = ("wiring", "catalog.files", "storage.objects", "db.engine", "outbound.smtp", "temporal.backlogs")
    program = (
        "import sys, cli.doctor; cli.doctor._groups(None); "
        f"print([name for name in {names} if name not in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_everything_is_away(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mail = f"smtp://127.0.0.1:{ports.free()}"
    away = {
        "YOUT_DATABASE_URL": f"postgresql://yout:{HIDDEN}@127.0.0.1:{ports.free()}/yout",
        "YOUT_STORAGE_URL": (tmp_path / "file" / "media").as_uri(),
        "YOUT_SMTP_URL": mail,
        "YOUT_PUBLIC_URL": "http://ai.example.test",
    }
    assert stack.temporal_address == AWAY
    code, checks = examined(stack, **away)
    assert code == 1
    faults = {name for name, (level, _, _) in checks.items() if level == "fault"}
    assert faults == {"database", "temporal", "storage", "mail", "public URL"}
    assert checks["database"][1].startswith("nothing listens there for the database")
    assert checks["master secret"][0] == "warn"


def older() -> str:
    return sorted(connections.REVISIONS)[-2]


@pytest.mark.parametrize(
    ("revision", "level", "words"),
    [
        (f"'{older()}'", "fault", f"the schema is at {older()}, and this program needs {max(connections.REVISIONS)}"),
        ("'9999'", "warn", "the schema is at 9999, newer than this program"),
        (None, "fault", "the database is not migrated"),
    ],
)
def test_the_schema_of_another_version(
    stack: Stack, database_url: str, revision: str | None, level: str, words: str
) -> None:
    change = (
        "DELETE FROM alembic_version" if revision is None else f"UPDATE alembic_version SET version_num = {revision}"
    )
    execute(database_url, change)
    _, checks = examined(stack)
    assert checks["migrations"][0] == level
    assert checks["migrations"][1].startswith(words)
    assert "role rights" not in checks


def test_a_database_without_our_schema(postgres: EmbeddedPostgres, stack: Stack) -> None:
    _, checks = examined(stack, YOUT_DATABASE_URL=postgres.url_of("template1"))
    assert (checks["database"][0], checks["migrations"][0]) == ("ok", "fault")
    assert checks["migrations"][2] == "run `yout migrate`"


def test_rights_of_the_role(stack: Stack, database_url: str) -> None:
    assert examined(stack)[1]["role rights"][0] == "ok"
    execute(database_url, "REVOKE INSERT ON holds FROM yout_app; REVOKE UPDATE (available) ON accounts FROM yout_app")
    code, checks = examined(stack)
    assert code == 1
    assert checks["role rights"][:2] == ("fault", "the role yout_app may not add to holds, change accounts.available")
    _, checks = examined(stack, YOUT_DATABASE_URL=database_url)
    assert checks["role rights"][0] == "warn"
    assert "is SUPERUSER" in checks["role rights"][1]


def test_another_master_secret(stack: Stack) -> None:
    created = CliRunner().invoke(yout, ["accounts", "create", "--email", "a@example.test"], env=stack.environment)
    assert created.exit_code == 0, created.output
    assert examined(stack)[1]["master secret"][0] == "ok"
    other = uuid.uuid4().hex
    code, checks = examined(stack, YOUT_SECRET_KEY=other)
    assert (code, checks["master secret"][0]) == (1, "fault")
    assert examined(stack, YOUT_SECRET_KEY=other, YOUT_PREVIOUS_SECRET_KEYS=SECRET)[1]["master secret"][0] == "ok"


PROVIDER = """
[providers.near]
kind = "openai"
base_url = "{url}"
api_key_env = "NEAR_KEY"
[models.near]
name = "Near"
context_window = 1000
max_output_tokens = 100
credits_per_1k_input = 1
credits_per_1k_output = 1
routes = [{{ provider = "near", model = "m" }}]
"""


def test_providers_are_connected_to_and_not_called(stack: Stack, tmp_path: Path) -> None:
    stack.catalog = tmp_path / "catalog.toml"
    stack.catalog.write_text("[models.x]\nname = 5\n")
    code, checks = examined(stack)
    assert (code, checks["catalog"][0]) == (1, "fault")
    port = ports.free()
    stack.catalog.write_text(PROVIDER.format(url=f"https://127.0.0.1:{port}/v1"))
    code, checks = examined(stack, NEAR_KEY=HIDDEN)
    assert (code, checks["providers"][:2]) == (1, ("fault", f"near: no connection at 127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        ({}, "ok", "none are exported"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:{hidden}@127.0.0.1:{port}"},
            "warn",
            "no connection at 127.0.0.1:{port}",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "fault", "the endpoint of OTEL_EXPORTER_OTLP is no URL"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "fault", "OTEL_TRACES_EXPORTER: write otlp or none"),
    ],
)
def test_where_traces_go(stack: Stack, given: dict[str, str], level: str, words: str) -> None:
    port = str(ports.free())
    filled = {name: value.format(hidden=HIDDEN, port=port) for name, value in given.items()}
    assert examined(stack, **filled)[1]["traces"][:2] == (level, words.format(port=port))


@pytest.mark.parametrize(
    ("url", "levels"),
    [
        (None, [("state folder", "fault")]),
        ("s3://yout/outputs", [("state folder", "ok")]),
        ("file://{}/outputs", [("state folder", "ok"), ("outputs folder", "fault")]),
    ],
)
async def test_a_small_disk_matters_where_outputs_are(
    url: str | None, levels: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In containers the state folder is a few megabytes of memory."""
    monkeypatch.setattr(cli.checks.deployment, "VERY_LITTLE", 10**18)
    (tmp_path / "outputs").mkdir()
    given: dict[str, Any] = {"database_url": "postgresql://a:b@c/d", "secret_key": SECRET, "state_dir": str(tmp_path)}
    settings = Settings(**given | ({"storage_url": url.format(tmp_path)} if url else {}))
    findings = await cli.checks.deployment.check_disk(settings)
    assert [(finding.check, finding.level.value) for finding in findings] == levels


def test_settings_that_are_wrong(stack: Stack) -> None:
    code, checks = examined(stack, YOUT_SECRET_KEY="short")
    assert code == 1
    assert checks["settings"][1].startswith("YOUT_SECRET_KEY: is shorter")
    assert checks["database"][0] == "ok"


def test_a_check_that_computes_holds_up_no_other(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a catalog takes seconds: the database then seemed to be away."""
    examined_database = threading.Event()
    check = cli.checks.database.check

    async def noted(url: str) -> list[Finding]:
        findings = await check(url)
        examined_database.set()
        return findings

    async def computes(_: object) -> list[Finding]:
        assert examined_database.wait(10)
        return [ok("storage", "computed")]

    monkeypatch.setattr(cli.checks.database, "check", noted)
    monkeypatch.setattr("cli.checks.storage.check", computes)
    _, checks = examined(stack)
    assert (checks["storage"][:2], checks["database"][0]) == (("ok", "computed"), "ok")


def test_a_check_that_hangs_and_one_that_breaks(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: object) -> None:
        await asyncio.Event().wait()

    async def breaks(_: object) -> None:
        raise RuntimeError(HIDDEN)

    monkeypatch.setattr(cli.doctor, "TIMEOUT_SECONDS", 5.0)
    monkeypatch.setattr(cli.checks.database, "check", hangs)
    monkeypatch.setattr("cli.checks.storage.check", breaks)
    code, checks = examined(stack)
    assert (code, checks["database"][:2]) == (1, ("fault", "no answer within 5 s"))
    assert checks["storage"][1] == "the check itself failed (RuntimeError)"
    assert checks["catalog"][0] == "ok"


def test_the_table(stack: Stack) -> None:
    result = CliRunner().invoke(yout, ["doctor"], env=stack.environment)
    assert result.exit_code == 1
    assert re.search(r"^temporal +fault  Temporal does not answer \(127\.0\.0\.1:1\)$", result.stdout, re.MULTILINE)
    assert "\nfault, temporal: see that it runs there" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("1 fault, 2 warnings")


def test_a_full_disk_of_the_database(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: object) -> None:
        raise psycopg.errors.DiskFull

    monkeypatch.setattr("db.connections.check_room", full)
    code, checks = examined(stack)
    assert (code, checks["database"][0]) == (1, "fault")
    assert checks["database"][1].startswith("the database's disk is full (")
    assert checks["database"][2] == "make room on it; all goes on by itself then"


@pytest.mark.parametrize(
    ("statement", "level", "what"),
    [
        ("LOCK TABLE accounts, holds IN SHARE MODE", "fault", "keeps accounts, holds locked"),
        (
            "INSERT INTO mailbox_keys SELECT * FROM mailbox_keys WHERE false",
            "warn",
            "keeps rows of mailbox_keys locked",
        ),
    ],
)
def test_a_session_that_keeps_what_calls_need_locked(
    stack: Stack, database_url: str, statement: str, level: str, what: str
) -> None:
    """The application's role may not see what another role does, nor since when: that it lasts, it sees."""
    with psycopg.connect(database_url, application_name="forgotten") as somebody:
        somebody.execute(statement.encode())
        _, checks = examined(stack)
        found, words, remedy = checks["locks"]
        assert (found, what in words) == (level, True), words
        pid = somebody.info.backend_pid
        assert f"process {pid} of PostgreSQL (forgotten, role " in words
        assert (remedy or "").endswith(f"SELECT pg_terminate_backend({pid})")
        somebody.rollback()
        assert examined(stack)[1]["locks"][0] == "ok"

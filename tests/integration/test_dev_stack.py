"""The embedded stack: what survives, what comes back, what it says, and that it leaves nothing behind."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from urllib.request import Request, urlopen

import psycopg
import pytest

from dev import cluster, state
from dev.errors import CannotStart
from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from tests.support.dev_stack import PORTS, STUBS, Stack, get, running, until


@pytest.fixture
def folder() -> Iterator[Path]:
    """Directly below the temporary folder: there a server can reach its data under any identity."""
    with tempfile.TemporaryDirectory(prefix="yout-test-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """The folder of a database that is made once: making one takes longer than all that is done with it."""
    with tempfile.TemporaryDirectory(prefix="yout-test-") as path:
        with EmbeddedPostgres(Path(path)):
            pass
        yield Path(path)


@pytest.fixture(scope="module")
def stack(data: Path) -> Iterator[Stack]:
    """A running stack that no test of this module ends. It was left a key that its database does not know."""
    with (
        tempfile.TemporaryDirectory(prefix="yout-test-") as path,
        running(Stack(Path(path), YOUT_CATALOG=str(Path(path) / "catalog.toml"))) as started,
    ):
        (Path(path) / "catalog.toml").write_text("[plans.pro]\ncredits_per_month = 5\n")
        started.inherit(data)
        (started.state / "dev.json").write_text('{"api_key": "sk-of-another-database"}')
        started.up()
        yield started


async def test_postgres_keeps_what_was_committed_when_it_is_killed(data: Path) -> None:
    async with EmbeddedPostgres(data) as postgres:
        address = postgres.url
        async with await psycopg.AsyncConnection.connect(address) as connection:
            await connection.execute("CREATE TABLE kept (n int)")
            await connection.execute("INSERT INTO kept VALUES (1), (2)")
        assert postgres.pid is not None
        os.kill(postgres.pid, SIGKILL)
        assert await postgres.wait() == -SIGKILL

        await postgres.start()

        assert postgres.url == address
        async with await psycopg.AsyncConnection.connect(address) as connection:
            assert await (await connection.execute("SELECT sum(n) FROM kept")).fetchone() == (3,)


def test_postgres_logs_no_customer_data(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres, psycopg.connect(postgres.url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT 'a private prompt'::int")
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("DO $$ BEGIN RAISE 'a private prompt'; END $$")

    assert "ready to accept connections" in postgres.log.read_text()
    assert "private" not in postgres.log.read_text()


def test_postgres_starts_although_its_old_number_belongs_to_another_process(data: Path) -> None:
    with EmbeddedPostgres(data) as postgres:
        assert postgres.pid is not None
        os.kill(postgres.pid, SIGKILL)
    lock = data / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "600"]) as stranger:
        lock.write_text("\n".join([str(stranger.pid), *lock.read_text().splitlines()[1:]]) + "\n")
        with EmbeddedPostgres(data):
            pass
        stranger.kill()


def test_data_of_another_major_version_is_left_alone(folder: Path) -> None:
    (folder / "PG_VERSION").write_text("9\n")

    with pytest.raises(CannotStart, match="made by PostgreSQL 9"):
        cluster.matching(folder)


def test_temporal_learns_new_search_attributes_and_names_one_of_another_type(folder: Path) -> None:
    with EmbeddedTemporal(folder, search_attributes={"YoutAccount": "Keyword"}):
        pass
    both = {"YoutAccount": "Keyword", "YoutAge": "Int"}

    with EmbeddedTemporal(folder, search_attributes=both) as temporal:
        namespace = json.load(urlopen(f"{temporal.http_url}/api/v1/namespaces/default"))
        attributes = json.load(urlopen(f"{temporal.http_url}/api/v1/namespaces/default/search-attributes"))

    assert namespace["config"]["workflowExecutionRetentionTtl"] == "604800s"
    assert attributes["customAttributes"].keys() == both.keys()
    with pytest.raises(CannotStart, match="YoutAge"), EmbeddedTemporal(folder, search_attributes={"YoutAge": "Bool"}):
        pass


@pytest.mark.parametrize(
    ("given", "complaint"),
    [("a\nb", "printable"), ("x" * 500, "too long"), ("/proc/nowhere", "cannot be used"), ("/dev/null", "cannot be")],
)
def test_an_unusable_state_folder_is_named(given: str, complaint: str) -> None:
    with pytest.raises(CannotStart, match=complaint):
        state.StateFolder.claim(given)


@pytest.mark.parametrize("setting", PORTS)
def test_a_taken_port_is_named_before_anything_starts(folder: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, running(Stack(folder)) as stack:
        port = str(taken.getsockname()[1])
        stack.environment[setting] = port
        stack.start()

        assert stack.ends() == 1
        assert f"Port {port} is taken by" in stack.terminal
        assert setting in stack.terminal
        assert str(os.getpid()) in stack.terminal
    assert not (stack.state / "postgres" / "data").exists()


def test_a_setting_that_makes_no_sense_is_named(folder: Path) -> None:
    with running(Stack(folder, YOUT_PORT="eighty")) as stack:
        stack.start()

        assert stack.ends() == 1
        assert "YOUT_PORT" in stack.terminal


def test_a_failed_migration_is_shown_and_ends_everything(folder: Path, data: Path) -> None:
    with running(Stack(folder, STUB_MIGRATE="broken")) as stack:
        stack.inherit(data)
        stack.start()

        assert stack.ends() == 1
        assert "column tangled" in stack.terminal
        assert not stack.processes()


def test_the_stack_says_where_it_is(stack: Stack) -> None:
    assert stack.answers() == 200
    assert (stack.state / "dev.json").stat().st_mode & 0o777 == 0o600
    assert get(stack.printed["temporal_ui_url"]) == 200
    assert f"curl {stack.printed['api_url']}/v1/chat/completions" in stack.terminal
    with psycopg.connect(stack.printed["migration_database_url"]) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    elsewhere = {name: value for name, value in stack.environment.items() if name != "YOUT_CATALOG"}
    command = [sys.executable, "-c", "import settings; print(settings.catalog_path())"]
    shown = subprocess.run(command, env=elsewhere, capture_output=True, check=True, text=True)
    assert shown.stdout.strip() == stack.environment["YOUT_CATALOG"], "a command has the catalog of the stack"
    assert stack.printed["database_url"].startswith("postgresql://yout_app:")  # its role is made by the migrations


def test_a_key_that_the_database_does_not_know_is_replaced(stack: Stack) -> None:
    assert stack.printed["api_key"] == "sk-stub"


def test_the_owner_of_the_demo_account_can_sign_in(stack: Stack) -> None:
    email, password = stack.printed["email"], stack.printed["password"]
    assert len(password) >= 16
    assert f"{email}, password {password}" in stack.terminal
    assert "Giving the demo account a password … " in stack.terminal  # the first start says what it is waiting for


def test_a_second_stack_on_the_same_state_is_refused(stack: Stack) -> None:
    second = subprocess.run(
        [sys.executable, "-m", STUBS],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert second.returncode == 1
    assert f"pid {stack.pid}" in second.stdout
    assert stack.answers() == 200


@pytest.mark.parametrize("part", ["api", "worker", "Temporal", "PostgreSQL"])
def test_a_part_that_is_killed_comes_back(stack: Stack, part: str) -> None:
    before = stack.parts()

    os.kill(before[part], SIGKILL)

    stack.prints(f"{part} died (killed by SIGKILL)")
    until(lambda: stack.parts().keys() == before.keys() and stack.answers() == 200, f"{part} again")
    stack.prints("is back", times=1)
    others = {name: pid for name, pid in stack.parts().items() if name != part}
    assert others == {name: pid for name, pid in before.items() if name != part}


def test_a_part_that_keeps_dying_is_named(folder: Path, data: Path) -> None:
    with running(Stack(folder, STUB_WORKER="broken")) as stack:
        stack.inherit(data)
        stack.up()

        stack.prints("worker has died 4 times in a row")
        stack.prints("worker | no luck", times=6)
        stack.signal(SIGINT)

        assert stack.ends() == 0


def test_stopping_leaves_nothing_behind_and_a_start_finds_everything_again(folder: Path) -> None:
    with running(Stack(folder)) as stack:
        stack.up()
        state, secret = stack.printed, (stack.state / "secret.key").read_text()
        stack.signal(SIGTERM)
        assert stack.ends() == 0
        assert not stack.processes()

        stack.up()
        assert stack.printed == state
        assert (stack.state / "secret.key").read_text() == secret

        stack.signal(SIGKILL)
        assert stack.ends() == -SIGKILL
        stack.is_gone()
        stack.up()  # at once: leftovers are waited for


def test_a_second_interrupt_does_not_wait_for_a_stubborn_part(folder: Path, data: Path) -> None:
    with running(Stack(folder, STUB_API="stubborn", YOUT_SHUTDOWN_TIMEOUT="3600")) as stack:
        stack.inherit(data)
        stack.up()
        stack.signal(SIGINT)
        stack.prints("Stopping")
        while stack.answers():
            stack.signal(SIGINT)

        assert stack.ends() == 0


def test_the_true_stack_answers_a_chat(folder: Path) -> None:
    with running(Stack(folder, module="dev")) as stack:
        stack.up()
        body = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello!"}]}
        request = Request(
            f"{stack.printed['api_url']}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {stack.printed['api_key']}", "Content-Type": "application/json"},
        )
        with urlopen(request, timeout=30) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"]
        stack.signal(SIGINT)

        assert stack.ends() == 0
        assert not stack.processes()

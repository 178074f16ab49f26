"""`yout` under bad circumstances: it says so in one line, and ends with an exit code, whichever command it is."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner

from cli.command import yout
from dev import ports
from dev.postgres import EmbeddedPostgres
from tests.support.command_line import (
    ACCOUNT,
    PASSWORD,
    credits_in,
    environment,
    invoke,
    one_line,
    open_accounts,
    program,
)
from tests.support.stack import ROOT

ON_THE_DATABASE = {
    "accounts list": (),
    "accounts create": ("--email", "new@example.test", "--credits", "5"),
    "accounts suspend": (ACCOUNT,),
    "accounts resume": (ACCOUNT,),
    "accounts reset-link": (ACCOUNT,),
    "accounts verify-link": (ACCOUNT,),
    "accounts set": (ACCOUNT, "--recognise-retries"),
    "keys list": (ACCOUNT,),
    "keys revoke": ("00000000-0000-0000-0000-000000000001",),
    "keys rotate": ("00000000-0000-0000-0000-000000000001",),
    "keys set": ("00000000-0000-0000-0000-000000000001", "--privacy", "strict"),
    "holds list": (),
    "jobs list": (),
    "jobs show": ("00000000-0000-0000-0000-000000000001",),
    "jobs cancel": ("00000000-0000-0000-0000-000000000001",),
    "jobs retry": ("00000000-0000-0000-0000-000000000001",),
    "jobs refund": ("00000000-0000-0000-0000-000000000001", "--reason", "because"),
    "webhooks list": (),
    "webhooks show": ("00000000-0000-0000-0000-000000000001",),
    "webhooks disable": ("00000000-0000-0000-0000-000000000001",),
    "webhooks redeliver": ("00000000-0000-0000-0000-000000000001",),
    "grant": (ACCOUNT, "5"),
    "adjust": (ACCOUNT, "-5", "--reason", "because"),
    "refund": ("00000000-0000-0000-0000-000000000001", "--reason", "because"),
    "usage": (),
    "usage report": (),
    "usage export": ("--from", "2026-01-01", "--to", "2026-02-01"),
    "status": (),
    "top": ("--once",),
    "outputs list": (),
    "shares revoke": ("0" * 22,),
    "plans list": (),
    "plans show": (ACCOUNT,),
    "plans start": (ACCOUNT, "pro"),
    "plans end": (ACCOUNT,),
    "payments list": (),
    "payments assign": ("cs_1", ACCOUNT, "--credits", "5"),
    "audit": (),
    "secrets status": (),
    "secrets rotate": (),
    "receipts list": (),
    "receipts verify": ("00000000-0000-0000-0000-000000000001",),
    "receipts rotate-key": (),
    "purges list": (),
    "migrate": (),
}
"""Every command that needs the database, with words that are right."""
ELSEWHERE = {
    *("dev", "api", "worker", "doctor", "providers", "completion", "openapi"),
    *("catalog check", "secrets payload-keys"),
}

each_command = pytest.mark.parametrize("command", ON_THE_DATABASE)


@pytest.fixture
def url(database_url: str) -> str:
    return open_accounts(database_url)


def runnable(group: click.Group, before: str = "") -> Iterator[str]:
    """Every command that does something by itself."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command, words = group.get_command(context, name), f"{before}{name}"
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield words
        if isinstance(command, click.Group):
            yield from runnable(command, f"{words} ")


def test_every_command_is_tried_here() -> None:
    assert {*ON_THE_DATABASE, *ELSEWHERE} == set(runnable(yout))


@each_command
@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("postgresql://yout:{password}@127.0.0.1:{port}/yout", "nothing listens there for the database"),
        ("postgresql://yout:{password}@no.such.host.invalid/yout", "the database's host is unknown"),
        ("{server}", "the database refuses the password"),
        ("postgresql://yout:{password}@127.0.0.1:port/yout", "YOUT_DATABASE_URL is no valid URL"),
        ("mysql://yout:{password}@127.0.0.1/yout", "YOUT_DATABASE_URL"),
    ],
)
def test_a_database_that_is_away(postgres: EmbeddedPostgres, command: str, broken: str, complaint: str) -> None:
    own = str(psycopg.conninfo.conninfo_to_dict(postgres.url)["password"])
    server = postgres.url.replace(own, PASSWORD)
    result = invoke(
        broken.format(password=PASSWORD, port=ports.free(), server=server), command, *ON_THE_DATABASE[command]
    )
    assert one_line(result.stderr).startswith(complaint)
    assert result.exit_code == 2
    assert result.stdout == "" or command in ("status", "top")  # they show what Temporal has


@pytest.mark.parametrize("command", sorted(ON_THE_DATABASE.keys() - {"migrate"}))
def test_a_database_that_is_not_migrated(postgres: EmbeddedPostgres, command: str) -> None:
    result = invoke(postgres.url_of("template1"), command, *ON_THE_DATABASE[command])
    assert one_line(result.stderr).startswith("the database is not migrated")
    assert result.exit_code == 2


@each_command
def test_settings_that_are_missing(command: str, tmp_path: Path) -> None:
    env = {name: "" for name in os.environ if name.startswith("YOUT_")} | {"YOUT_STATE_DIR": str(tmp_path)}
    result = CliRunner().invoke(yout, [*command.split(), *ON_THE_DATABASE[command]], env=env)
    assert "YOUT_DATABASE_URL" in one_line(result.stderr)
    assert result.exit_code == 2


@each_command
@pytest.mark.parametrize("word", ["a\nb@example.com", "\x1b[2J", "x\x00y", "a\u2028b", "\udcff@example.com"])
def test_an_argument_that_is_not_text_of_one_line(command: str, word: str) -> None:
    words = [*ON_THE_DATABASE[command], "--email", word]
    result = invoke("postgresql://not.reached.invalid/yout", command, *words)
    assert "contains a line break, a control character or invalid UTF-8" in one_line(result.stderr)
    assert result.exit_code == 2


@pytest.mark.parametrize("text", ['{"receipt": [1, 2]}', '{"receipt": "x"}', "[]", "[" * 100_000, "\u00e9"])
def test_what_is_no_receipt(url: str, tmp_path: Path, text: str) -> None:
    (tmp_path / "receipt").write_text(text)
    result = invoke(url, "receipts verify", str(tmp_path / "receipt"))
    assert one_line(result.stderr).endswith(("is no receipt", "is no readable receipt"))
    assert result.exit_code == 1


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon"])
def test_a_time_that_is_none(time: str) -> None:
    result = invoke("postgresql://not.reached.invalid/yout", "plans end", ACCOUNT, "--at", time)
    assert one_line(result.stderr).startswith(f"'{time}' is no time")
    assert result.exit_code == 2


@pytest.mark.parametrize("command", ["accounts list", "holds list", "payments list", "purges list"])
def test_a_list_of_more_rows_than_there_can_be(command: str) -> None:
    result = invoke("postgresql://not.reached.invalid/yout", command, "--limit", "9" * 20)
    assert "Invalid value for '--limit'" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize("address", ["a b@example.com", "nobody", "@", "a@", ""])
def test_what_is_no_address_makes_no_account(url: str, address: str) -> None:
    result = invoke(url, "accounts create", "--email", address)
    assert one_line(result.stderr) == "This is not an e-mail address."
    assert result.exit_code == 1


NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("encoding", [{"PYTHONIOENCODING": "ascii"}, NO_LOCALE], ids=["ascii", "C"])
def test_a_terminal_that_knows_ascii_alone(url: str, encoding: dict[str, str]) -> None:
    env = environment(url, COLUMNS="1", **encoding)
    table = program("accounts", "list", env=env)
    assert (table.returncode, table.stderr) == (0, b"")
    assert b"rgen@example.test" in table.stdout
    assert table.stdout.isascii()
    listed = program("accounts", "list", "--json", env=env)
    assert {account["email"] for account in json.loads(listed.stdout)} == {ACCOUNT, "jürgen@example.test"}
    for words in (["--help"], ["adjust", "--help"], ["refund", "--help"], ["usage"], ["holds", "list"]):
        assert program(*words, env=env).returncode == 0
    refused = program("grant", "jürgen@nowhere.test", "5", env=env)
    assert one_line(refused.stderr.decode("ascii")).startswith("There is no account 'j")
    assert refused.returncode == 1


def test_invalid_utf_8(url: str) -> None:
    refused = program("accounts", "create", "--email", b"\xff@example.com", env=environment(url))
    assert "argument 4 contains" in one_line(refused.stderr.decode())
    env = environment(url, YOUT_STATE_DIR=os.fsdecode(b"\xff"))
    assert "YOUT_STATE_DIR is not valid UTF-8" in one_line(program("accounts", "list", env=env).stderr.decode())
    for words in (["keys", "list"], ["usage"], ["holds", "list", "--account"], ["refund", "--reason", "x"]):
        refused = program(*words, b"\xc3\x28", env=environment(url))
        assert refused.returncode == 2
        one_line(refused.stderr.decode())


@pytest.mark.parametrize("words", [["accounts", "list"], ["--help"], ["usage", "--json"], ["openapi"]])
def test_nobody_reads_the_output(url: str, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = program(*words, env=environment(url), stdout=writing)
    finally:
        os.close(writing)
    assert ended.stderr == b""
    assert ended.returncode == 141


@pytest.mark.parametrize("words", ["accounts list", "accounts list --json", "secrets payload-keys", "--help"])
def test_an_output_that_is_closed_or_full(url: str, words: str) -> None:
    shell = f"exec {sys.executable} -m cli {words}"
    for redirection, codes in (
        (">&-", {0}),
        (">&- 2>&-", {0}),
        (">/dev/full", {2}),
        ("</dev/null >&- 2>/dev/null", {0}),
    ):
        command = ["sh", "-c", f"{shell} {redirection}"]
        ended = subprocess.run(command, cwd=ROOT, env=environment(url), capture_output=True, check=False, timeout=60)
        assert ended.returncode in codes, (redirection, ended.stderr)
        assert b"Traceback" not in ended.stderr
        assert b"Exception" not in ended.stderr


@pytest.mark.parametrize("redirection", [">&-", "| cat"])
def test_what_is_live_needs_a_terminal(url: str, redirection: str) -> None:
    command = ["sh", "-c", f"{sys.executable} -m cli top {redirection}"]
    ended = subprocess.run(command, cwd=ROOT, env=environment(url), capture_output=True, check=False, timeout=60)
    assert one_line(ended.stderr.decode()) == "`yout top` needs a terminal: use --once, or `yout status`"
    assert ended.stdout == b""


def test_a_full_disk_is_told_after_what_was_done(url: str) -> None:
    command = ["sh", "-c", f"exec {sys.executable} -m cli grant {ACCOUNT} 5 >/dev/full"]
    ended = subprocess.run(command, cwd=ROOT, env=environment(url), capture_output=True, check=False, timeout=60)
    assert one_line(ended.stderr.decode()) == (
        "the output cannot be written (No space left on device); what the command did is done"
    )
    assert ended.returncode == 2


def test_what_the_terminal_would_obey_is_not_printed(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE api_keys SET name = E'\\x1b[2Jred\\nalert'")
    table = invoke(url, "keys list", ACCOUNT).stdout
    assert "\x1b" not in table
    assert table.count("\n") == 2


@pytest.mark.parametrize("reference", ["", " ", "x" * 201])
def test_a_reference_that_is_none_is_refused(url: str, reference: str) -> None:
    before = credits_in(url)
    for words in (["grant", ACCOUNT, "5"], ["adjust", ACCOUNT, "5", "--reason", "x"]):
        result = invoke(url, *words, "--ref", reference)
        assert one_line(result.stderr).startswith("--ref must have 1 to 200 characters")
        assert result.exit_code == 2
    assert credits_in(url) == before


LIGHT = {
    "sqlalchemy", "sqlmodel", "pydantic", "pydantic_settings", "settings", "structlog", "fastapi", "starlette",
    "aiohttp", "temporalio", "rich", "cryptography", "alembic", "obstore", "tiktoken", "api", "gateway", "providers",
    "catalog", "dev", "workflows", "activities",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "never"),
    [(["--help"], LIGHT | {"psycopg", "asyncio", "db", "orjson"}), (["accounts", "list"], LIGHT)],
)
def test_a_command_loads_only_what_it_needs(url: str, words: list[str], never: set[str]) -> None:
    code = (
        "import sys\n"
        "from cli.command import yout\n"
        "try:\n    yout.main(sys.argv[1:])\n"
        "finally:\n    print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *words]
    ended = subprocess.run(command, cwd=ROOT, env=environment(url), capture_output=True, text=True, check=True)
    assert ended.stdout
    loaded = set(ended.stderr.split())
    assert {"cli", "click"} <= loaded
    assert loaded & never == set()

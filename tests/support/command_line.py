"""Runs `yout` as an operator does, and reads the one line that it ends with."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping

from click.testing import CliRunner, Result

from cli.command import yout
from tests.support import fork_server
from tests.support.stack import ROOT, SECRET

PASSWORD = "a-password-that-nobody-may-read"
ACCOUNT = "ann@example.test"


def environment(database_url: str, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("YOUT_", "LC_", "LANG"))}
    return inherited | {"YOUT_DATABASE_URL": database_url, "YOUT_SECRET_KEY": SECRET} | more


def invoke(url: str, command: str, *words: str) -> Result:
    return CliRunner().invoke(yout, [*command.split(), *words], env=environment(url))


def program(
    *words: str | bytes, env: Mapping[str, str], stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(command, cwd=ROOT, env=env, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=60)


async def finished(*words: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(fork_server.running().finish, ["cli", *words], env)


def one_line(stderr: str) -> str:
    assert stderr.startswith("error: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1
    assert PASSWORD not in stderr
    assert "Traceback" not in stderr
    return stderr.removeprefix("error: ").strip()


def open_accounts(database_url: str) -> str:
    """Make two accounts, one with a character in its address that ASCII lacks."""
    for address in (ACCOUNT, "jürgen@example.test"):
        account = invoke(database_url, "accounts create", "--email", address, "--credits", "500")
        assert account.exit_code == 0, account.output
    return database_url


def credits_in(url: str) -> int:
    return sum(account["available"] for account in json.loads(invoke(url, "accounts list", "--json").stdout))

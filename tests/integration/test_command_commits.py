"""`yout` where a commit's reply is lost, or the database goes after it: what was done is not done twice."""

import asyncio
import json
import re

import pytest

from db.engine import Database
from db.writer import LedgerWriter
from domain.keys import masked
from domain.results import Reserved
from tests.support.bank import open_account, reserve, settle
from tests.support.command_line import ACCOUNT, credits_in, environment, finished, invoke, one_line, open_accounts
from tests.support.doubles.cutting_proxy import CuttingProxy


@pytest.fixture
def url(database_url: str) -> str:
    return open_accounts(database_url)


LOST = [
    "accounts create --email new@example.test --credits 70",
    f"grant {ACCOUNT} 70",
    f"adjust {ACCOUNT} 70 --reason x",
]


@pytest.mark.parametrize("command", LOST)
async def test_the_reply_to_a_commit_is_lost(url: str, command: str) -> None:
    """It happened, it is found to have happened, it is told as what it is, and it does not happen twice."""
    before = credits_in(url)
    async with CuttingProxy(url) as proxy:
        proxy.cuts_left = 1
        words = [*command.split(), "--json"]
        ended = await finished(*words, env=environment(proxy.url))
    assert proxy.cut == 1
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout).get("repeated", False) is False
    assert credits_in(url) == before + 70


async def test_a_key_whose_commit_went_unanswered_is_made_once(url: str) -> None:
    words = ["accounts", "create", "--email", ACCOUNT, "--exist-ok", "--json"]
    async with CuttingProxy(url) as proxy:
        proxy.cuts_left = 1
        ended = await finished(*words, env=environment(proxy.url))
    assert (proxy.cut, ended.returncode, ended.stderr) == (1, 0, "")
    key = json.loads(ended.stdout)
    listed = json.loads((await asyncio.to_thread(invoke, url, "keys list", ACCOUNT, "--json")).stdout)
    assert len(listed) == 2
    revoked = await asyncio.to_thread(invoke, url, "keys revoke", key["api_key"], "--json")
    assert json.loads(revoked.stdout)["id"] == listed[0]["id"]


def test_a_key_is_rotated_and_stays_the_same_key(url: str) -> None:
    (key,) = json.loads(invoke(url, "keys list", ACCOUNT, "--json").stdout)
    first = json.loads(invoke(url, "keys rotate", key["id"], "--json").stdout)
    assert (first["id"], first["previous_expires_at"] is None) == (key["id"], False)
    token, last_line = invoke(url, "keys rotate", first["key"], "--grace", "0").stdout.splitlines()
    assert last_line == "The token before no longer works."
    (after,) = json.loads(invoke(url, "keys list", ACCOUNT, "--json").stdout)
    assert (after["id"], after["masked"]) == (key["id"], masked(token))
    assert invoke(url, "keys rotate", token, "--grace", "604801").exit_code == 2


async def charged(url: str) -> str:
    """The id of a call of the account that cost 40 credits."""
    database = Database.open(url, pool=1)
    async with LedgerWriter(url) as ledger:
        customer = await open_account(database, ledger, 500)
        held = await ledger.ask(reserve(customer, 100))
        assert isinstance(held, Reserved)
        await ledger.ask(settle(customer, held.hold_id, 40))
    await database.close()
    return str(held.hold_id)


@pytest.mark.parametrize("command", ["accounts suspend", "accounts resume", "keys revoke", "refund"])
async def test_what_was_done_by_a_commit_whose_reply_was_lost_was_not_done_before(url: str, command: str) -> None:
    (key,) = json.loads((await asyncio.to_thread(invoke, url, "keys list", ACCOUNT, "--json")).stdout)
    words = {"keys revoke": [key["id"]], "refund": [await charged(url), "--reason", "x"]}.get(command, [ACCOUNT])
    if command == "accounts resume":
        await asyncio.to_thread(invoke, url, "accounts suspend", ACCOUNT)
    async with CuttingProxy(url) as proxy:
        proxy.cuts_left = 1
        ended = await finished(*command.split(), *words, "--json", env=environment(proxy.url))
    assert (proxy.cut, ended.returncode, ended.stderr) == (1, 0, "")
    assert json.loads(ended.stdout)["repeated"] is False
    again = await asyncio.to_thread(invoke, url, command, *words, "--json")
    assert json.loads(again.stdout)["repeated"] is True


async def gone_after_the_commit(url: str, command: str) -> str:
    """The line of a command whose database answers no more once it has committed: it waits for half a minute."""
    async with CuttingProxy(url) as proxy:
        proxy.cuts_left = 1
        proxy.last_cut_is_final = True
        ended = await finished(*command.split(), env=environment(proxy.url))
    assert (ended.returncode, ended.stdout) == (3, "")
    return one_line(ended.stderr)


async def test_the_database_is_gone_after_a_commit(url: str) -> None:
    """Nobody knows, which is what the operator hears, with how to ask again. That does it once."""
    before = credits_in(url)
    lines = await asyncio.gather(*(gone_after_the_commit(url, command) for command in LOST))
    for command, line in zip(LOST, lines, strict=True):
        assert "Whether it was done is not known: run the " in line
        reference = re.search(r"--ref \S+", line)
        again = await asyncio.to_thread(invoke, url, command, *(reference[0].rstrip(",").split() if reference else ()))
        assert again.exit_code == (1 if "create" in command else 0)
    assert credits_in(url) == before + 70 * len(LOST)

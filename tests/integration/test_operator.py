"""The operator's commands, against a real database: exact words, JSON, and nothing that happens twice."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from cli.command import yout
from db.audit import audit
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import AccountSuspended, CallerUnknown
from domain.ids import chat_id
from domain.media import Kind, MediaRequest, Output, object_key
from domain.operations import Reserve
from domain.pricing import FlatTerms
from tests.support.bank import WRAPPING, Customer, balance, open_account, reserve, settle, void
from tests.support.stack import ROOT, SECRET

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Operator:
    url: str

    def invoke(self, *words: str) -> Result:
        environment = {"YOUT_DATABASE_URL": self.url, "YOUT_SECRET_KEY": SECRET, "COLUMNS": "40"}
        return CliRunner().invoke(yout, list(words), env=environment)

    def report(self, *words: str) -> Any:
        """A command's JSON."""
        done = self.invoke(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def text(self, *words: str) -> str:
        done = self.invoke(*words)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def refused(self, *words: str) -> str:
        done = self.invoke(*words)
        assert done.exit_code == 1, done.output
        return done.stderr.strip().removeprefix("error: ")

    def behind(self, work: Callable[[Database, LedgerWriter], Awaitable[Answer]]) -> Answer:
        """What happens on the other side: calls, jobs."""

        async def working() -> Answer:
            database = Database.open(self.url, pool=2)
            async with LedgerWriter(self.url) as ledger:
                outcome = await work(database, ledger)
            await database.close()
            return outcome

        return asyncio.run(working())

    def account(self, credits: int = 10_000) -> Customer:
        return self.behind(lambda database, ledger: open_account(database, ledger, credits))

    def call(self, customer: Customer, held: int = 500, charged: int | None = None) -> Reserve:
        """One call, ended with that charge; None: it goes on."""
        operation = reserve(customer, held)

        async def calling(_: Database, ledger: LedgerWriter) -> None:
            await ledger.ask(operation)
            if charged is not None:
                await ledger.ask(settle(customer, operation.hold_id, charged))

        self.behind(calling)
        return operation

    def balance(self, customer: Customer) -> int:
        return asyncio.run(balance(self.url, customer))[0]


@pytest.fixture
def operator(database_url: str) -> Operator:
    return Operator(database_url)


@pytest.fixture(autouse=True)
def proven(operator: Operator) -> Any:
    """After every test the books are clean."""
    yield

    async def audited(database: Database, _: LedgerWriter) -> dict[str, int]:
        async with database.connection() as connection:
            return (await audit(connection)).counts

    assert operator.behind(audited) == {}


def test_a_charge_is_refunded_once(operator: Operator) -> None:
    customer = operator.account()
    charge = chat_id(operator.call(customer, charged=400).hold_id)
    words = ("refund", charge, "--reason", "It was our fault.")
    report = operator.report(*words)
    account_id = str(customer.account_id)
    assert report == {
        "charge": charge,
        "account_id": account_id,
        "credits_refunded": 400,
        "balance": 10_000,
        "repeated": False,
    }
    assert operator.report(*words) == report | {"repeated": True}
    assert operator.text(*words) == "was refunded before; balance 10,000"
    other = operator.call(customer, charged=1)
    assert operator.text("refund", str(other.hold_id), "--reason", "x") == "refunded 10 credits; balance 10,000"
    assert operator.balance(customer) == 10_000


def test_what_cannot_be_refunded(operator: Operator) -> None:
    customer = operator.account()
    running, released = operator.call(customer), operator.call(customer)
    operator.behind(lambda _, ledger: ledger.ask(void(customer, released.hold_id)))
    assert operator.refused("refund", str(running.hold_id), "--reason", "x") == (
        "This call is in flight: nothing has been charged yet."
    )
    assert operator.refused("refund", str(released.hold_id), "--reason", "x") == (
        "Nothing was charged for this call: there is nothing to refund."
    )
    assert operator.refused("refund", str(uuid.uuid4()), "--reason", "x") == "There is no such charge."
    assert operator.refused("refund", "nonsense", "--reason", "x") == "There is no such charge."
    assert operator.refused("refund", str(running.hold_id), "--reason", " ") == "A refund needs a reason."
    assert operator.invoke("refund", str(running.hold_id)).exit_code == 2
    operator.behind(lambda _, ledger: ledger.ask(settle(customer, running.hold_id, 100)))
    assert operator.balance(customer) == 9_900


def test_a_refunded_job_says_so(operator: Operator) -> None:
    customer = operator.account()
    request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="A lake")
    price = FlatTerms(500, "v1")
    ordered = Order(uuid.uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", price, request)

    async def make_jobs(database: Database, _: LedgerWriter) -> MediaJobs:
        jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
        await jobs.accept(ordered)
        await jobs.begin(ordered.job_id)
        key = object_key(customer.account_id, ordered.job_id, 0, "png")
        await jobs.succeed(ordered.job_id, [Output(object_key=key, content_type="image/png", bytes=3)])
        return jobs

    operator.behind(make_jobs)
    assert operator.balance(customer) == 9_500
    stored = {"account_id": str(customer.account_id), "objects": 1, "bytes": 3}
    assert operator.report("outputs", "list") == [stored]
    assert str(customer.account_id) in operator.text("outputs", "list")
    for repeated in (False, True):
        report = operator.report("refund", str(ordered.job_id), "--reason", "A black picture.")
        assert (report["credits_refunded"], report["balance"], report["repeated"]) == (500, 10_000, repeated)

    async def refunded(database: Database, _: LedgerWriter) -> int:
        jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
        return (await jobs.load(ordered.job_id)).credits_refunded

    assert operator.behind(refunded) == 500


def test_a_balance_is_adjusted(operator: Operator) -> None:
    customer = operator.account(1_000)
    account = str(customer.account_id)
    took = ("adjust", account, "-400", "--reason", "Granted twice.", "--ref", "ticket-7")
    assert operator.text(*took) == "took 400 credits; balance 600"
    assert operator.text(*took) == "was adjusted before under this reference; balance 600"
    assert operator.report(*took) == {"balance": 600, "repeated": True}
    assert operator.text("adjust", account, "+50", "--reason", "For the trouble.") == "added 50 credits; balance 650"
    assert operator.text("adjust", account, "50", "--reason", "For the trouble.") == "added 50 credits; balance 700"
    operator.call(customer, held=100)
    assert operator.refused("adjust", account, "-601", "--reason", "x") == (
        "The account has 600 credits available and 100 held; taking 601 would leave less than zero."
    )
    assert operator.refused("adjust", account, "0", "--reason", "x") == "An adjustment must not be zero."
    assert operator.refused("adjust", account, "5", "--reason", "") == "An adjustment needs a reason."
    assert operator.refused("adjust", account, "5", "--reason", "x", "--ref", "ticket-7") == (
        "This reference was used before, for another account or another amount."
    )
    assert operator.refused("adjust", "nobody@example.test", "5", "--reason", "x") == (
        "There is no account 'nobody@example.test'."
    )
    assert operator.invoke("adjust", account, "-5").exit_code == 2
    assert operator.balance(customer) == 600


def test_credits_are_granted(operator: Operator) -> None:
    account = str(operator.account(0).account_id)
    assert operator.text("grant", account, "2500", "--ref", "invoice-7") == "gave 2,500 credits; balance 2,500"
    assert operator.report("grant", account, "2500", "--ref", "invoice-7") == {"balance": 2_500, "repeated": True}


def test_open_holds_are_listed(operator: Operator) -> None:
    ann, bob = operator.account(), operator.account()
    first, second = operator.call(ann, held=70), operator.call(bob, held=80)
    operator.call(ann, charged=10)
    assert [hold["charge"] for hold in operator.report("holds", "list")] == [
        chat_id(first.hold_id),
        chat_id(second.hold_id),
    ]
    (listed,) = operator.report("holds", "list", "--account", str(bob.account_id))
    assert (listed["account_id"], listed["credits"], listed["kind"], listed["model"]) == (
        str(bob.account_id),
        80,
        "chat",
        "m",
    )
    assert listed["lease_until"] > listed["created_at"]
    assert chat_id(second.hold_id) in operator.text("holds", "list")
    assert len(operator.report("holds", "list", "--limit", "1")) == 1


def test_an_account_is_suspended_and_resumed(operator: Operator) -> None:
    customer = operator.account()
    account = str(customer.account_id)
    running = operator.call(customer, held=100)
    assert operator.text("accounts", "suspend", account) == f"suspended: {account}"
    assert operator.text("accounts", "suspend", account) == f"was suspended before: {account}"
    assert operator.report("accounts", "list")[0]["suspended"] is True
    with pytest.raises(AccountSuspended):
        operator.call(customer)
    operator.behind(lambda _, ledger: ledger.ask(settle(customer, running.hold_id, 60)))
    resumed = {"account_id": account, "suspended": False}
    assert operator.report("accounts", "resume", account) == resumed | {"repeated": False}
    assert operator.report("accounts", "resume", account) == resumed | {"repeated": True}
    assert operator.text("accounts", "resume", account) == f"was not suspended: {account}"
    operator.call(customer, charged=40)
    assert operator.balance(customer) == 9_900


def test_keys_are_listed_and_revoked(operator: Operator) -> None:
    customer = operator.account()
    account = str(customer.account_id)
    (key,) = operator.report("keys", "list", account)
    assert key["masked"] in operator.text("keys", "list", account)
    assert customer.token not in json.dumps(key)
    other = operator.account()
    for privacy in ("strict", "default"):
        assert operator.report("keys", "set", key["id"], "--privacy", privacy)["privacy"] == privacy
        assert operator.report("keys", "list", account)[0]["privacy"] == privacy
    assert operator.text("keys", "revoke", key["id"]) == f"revoked: {key['masked']} ({key['id']})"
    assert operator.report("keys", "revoke", customer.token)["repeated"] is True
    assert operator.report("keys", "list", account) == []
    with pytest.raises(CallerUnknown):
        operator.call(customer)
    assert operator.report("keys", "revoke", other.token)["repeated"] is False
    unknown = "There is no such key. Give its id, or a whole token of it."
    assert operator.refused("keys", "revoke", str(uuid.uuid4())) == unknown
    assert operator.refused("keys", "revoke", "yout-nonsense") == unknown


def test_how_an_account_is_served(operator: Operator) -> None:
    account = str(operator.account().account_id)
    assert operator.report("accounts", "set", account, "--recognise-retries") == {
        "account_id": account,
        "recognise_retries": True,
    }
    assert operator.text("accounts", "set", account, "--recognise-retries") == f"retries are recognised: {account}"
    assert operator.text("accounts", "set", account, "--no-recognise-retries") == (
        f"retries are not recognised: {account}"
    )
    assert operator.refused("accounts", "set", account) == (
        "Nothing to set: give --recognise-retries or --no-recognise-retries."
    )


def test_an_account_is_made_with_its_first_key(operator: Operator) -> None:
    account = operator.report("accounts", "create", "--email", "Ann@Example.test", "--credits", "500")
    again = operator.report("accounts", "create", "--email", "ann@example.test", "--credits", "500", "--exist-ok")
    assert again["account_id"] == account["account_id"]
    assert operator.report("accounts", "list")[0]["available"] == 500
    assert len(operator.report("keys", "list", "ann@example.test")) == 2
    assert "already has the account" in operator.refused("accounts", "create", "--email", "ann@example.test")


def test_the_commands_run_as_a_program() -> None:
    for words in (["adjust"], ["holds", "list"]):
        command = [sys.executable, "-m", "cli", *words, "--help"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert "--json" in done.stdout, done.stderr

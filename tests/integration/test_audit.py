"""Plants corruptions by SQL, one at a time: the audit must name each. A clean ledger is clean."""

import json
import os
import subprocess
import uuid
from datetime import timedelta

import psycopg
import pytest

from db.audit import audit
from db.audit_checks import CHECKS
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.media import JobError, Kind, MediaRequest, Output, State, object_key
from domain.operations import Adjust, Refund
from domain.plans import month_after
from domain.pricing import FlatTerms
from tests.support import fork_server, purging
from tests.support import stripe_events as stripe
from tests.support.bank import WRAPPING, Customer, open_account, reserve, settle, void
from tests.support.corruptions import MORE
from tests.support.shop import Shop
from tests.support.stack import SECRET
from tests.support.swaps import IMPOSSIBLE, SWAPS

CORRUPTIONS = {
    "available_drift": "UPDATE accounts SET available = available + 1",
    "held_drift": "UPDATE accounts SET held = held + 1, open_holds = open_holds",
    "balance_negative": (
        "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_available_not_negative; UPDATE accounts SET available = -5"
    ),
    "open_holds_miscounted": "UPDATE accounts SET open_holds = open_holds + 1",
    "key_open_holds_miscounted": "UPDATE api_keys SET open_holds = open_holds + 1",
    "key_budget_drift": "UPDATE api_keys SET day_credits = day_credits - 1",
    "usage_day_drift": "UPDATE usage_days SET credits = credits + 1",
    "held_not_open_holds": "UPDATE holds SET amount = amount + 7 WHERE state = 'open'",
    "hold_expired": "UPDATE holds SET lease_until = now() - interval '1 minute' WHERE state = 'open'",
    "hold_not_placed": "DELETE FROM lines WHERE book = 'held' AND amount > 0",
    "hold_not_emptied": "UPDATE lines SET amount = amount - 1 WHERE book = 'held' AND amount < 0",
    "transaction_unbalanced": "UPDATE lines SET amount = amount + 1 WHERE book = 'revenue'",
    "ledger_unbalanced": "DELETE FROM lines WHERE book = 'grants'",
    "transaction_without_lines": (
        "INSERT INTO transactions (kind, account_id, ref, position) "
        "SELECT 'grant', id, 'empty', 99 FROM accounts LIMIT 1"
    ),
    "line_without_transaction": "DELETE FROM transactions WHERE kind = 'release'",
    "line_of_another_account": "UPDATE lines SET account_id = gen_random_uuid() WHERE book = 'held'",
    "lines_of_missing_account": "UPDATE lines SET account_id = gen_random_uuid() WHERE book = 'available'",
    "settled_without_charge": "DELETE FROM transactions WHERE kind = 'charge'",
    "charge_without_settled_hold": "UPDATE holds SET state = 'void' WHERE state = 'settled'",
    "charge_not_as_held": "UPDATE holds SET charged = charged + 1 WHERE state = 'settled'",
    "void_without_release": "DELETE FROM transactions WHERE kind = 'release'",
    "release_without_void_hold": "UPDATE holds SET state = 'settled' WHERE state = 'void' AND amount > 0",
    "hold_transaction_without_hold": "DELETE FROM holds WHERE state = 'void'",
    "charge_without_usage": "DELETE FROM usage",
    "usage_without_charge": "UPDATE usage SET hold_id = gen_random_uuid()",
    "usage_not_as_charged": "UPDATE usage SET credits = credits - 1",
    "charge_not_as_priced": "UPDATE usage SET output_tokens = output_tokens + 1000 WHERE kind = 'chat'",
    "flat_charge_not_as_held": "UPDATE holds SET charged = charged - 1 WHERE kind = 'image' AND state = 'settled'",
    "refund_not_as_charged": "UPDATE holds SET refunded = charged - 1 WHERE refunded > 0",
    "refund_not_reversing_charge": "UPDATE lines SET amount = amount + 1 WHERE book = 'revenue' AND amount < 0",
    "adjustment_not_as_booked": "UPDATE transactions SET note = NULL WHERE kind = 'adjust'",
    "charged_above_max_credits": "UPDATE holds SET max_credits = charged - 1 WHERE state = 'settled'",
    "job_without_hold": "DELETE FROM holds WHERE kind = 'image'",
    "job_not_as_hold": "UPDATE media_jobs SET state = 'succeeded' WHERE state = 'failed'",
    "job_cost_not_as_held": "UPDATE media_jobs SET credits_cost = credits_cost + 1",
    "job_refund_wrong": "UPDATE media_jobs SET credits_refunded = 0 WHERE state = 'failed'",
    "leaseless_hold_without_job": "DELETE FROM media_jobs WHERE state = 'queued'",
    "input_of_ended_job": "UPDATE media_jobs SET state = 'failed' WHERE state = 'queued'",
    "forgotten_hold_not_ended": "DELETE FROM holds WHERE state = 'open'",
    "usage_not_as_booked": "UPDATE usage SET written_off = written_off + 1",
    "usage_day_not_as_booked": "UPDATE usage_days SET calls = calls + 1",
    "usage_day_cost_drift": "UPDATE usage SET provider_cost = 0.000000001",
    "usage_day_meters_drift": "UPDATE usage_days SET meters = jsonb_build_object('web_search', 1)",
    "horizon_too_late": "INSERT INTO pruned (what, horizon) VALUES ('usage', now())",
}


def test_every_check_has_a_corruption() -> None:
    assert set(CORRUPTIONS) | set(MORE) | set(SWAPS) == set(CHECKS)


def order(customer: Customer) -> Order:
    request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a sentinel")
    return Order(uuid.uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", FlatTerms(500, "v1"), request)


async def _pay(shop: Shop, customer: Customer) -> None:
    """Two payments, one of them for a plan; a part of one went back."""
    period = stripe.BEGIN, month_after(stripe.BEGIN, 1)
    await shop.send(
        stripe.event("checkout.session.completed", stripe.session("pi_1", account=customer.account_id)),
        stripe.event("charge.refunded", stripe.charge("pi_1", refunded=300)),
        stripe.event(
            "invoice.paid",
            stripe.invoice("in_1", "sub_1", period, metadata={"account_id": str(customer.account_id)}),
        ),
    )


async def _purge(database: Database, ledger: LedgerWriter, customer: Customer) -> None:
    """Calls that were erased, with a receipt; and a purge of one thing that still runs."""
    call = reserve(customer, 100)
    await ledger.ask(call)
    await ledger.ask(settle(customer, call.hold_id, 40))
    purge_id = await purging.begin(database, customer)
    await purging.roll_up(database, purge_id)
    await purging.complete(database, purge_id)
    await purging.begin(database, customer, part="share")


async def _live_a_little(database: Database, ledger: LedgerWriter) -> None:
    """Calls and jobs in every state, and another account with a call and a job."""
    customer, other = await open_account(database, ledger, 10_000), await open_account(database, ledger, 5000)
    await _pay(Shop(database, ledger), customer)
    jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
    charged, released, refunded, still_open = (reserve(customer, 100) for _ in range(4))
    for operation in (charged, released, refunded, still_open):
        await ledger.ask(operation)
    await ledger.ask(settle(customer, charged.hold_id, 40))
    await ledger.ask(void(customer, released.hold_id))
    await ledger.ask(void(customer, uuid.uuid4()))
    await ledger.ask(settle(customer, refunded.hold_id, 90))
    await ledger.ask(Refund(refunded.hold_id, customer.account_id, note="It was our fault."))
    await ledger.ask(Adjust(customer.account_id, -25, "adjust:1", "Granted twice."))
    succeeded, failed, _queued = [(await jobs.accept(order(customer))).job for _ in range(3)]
    await jobs.begin(succeeded.id)
    key = object_key(succeeded.account_id, succeeded.id, 0, "png")
    await jobs.succeed(succeeded.id, [Output(object_key=key, content_type="image/png", bytes=3)])
    await jobs.end(failed.id, State.FAILED, JobError(code="upstream_error", message="It failed."))
    await _purge(database, ledger, other)
    call = reserve(other, 100)
    await ledger.ask(call)
    await ledger.ask(settle(other, call.hold_id, 70))
    await jobs.accept(order(other))


async def test_a_clean_ledger_is_clean(database: Database, ledger: LedgerWriter) -> None:
    await _live_a_little(database, ledger)
    async with database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report.counts
    assert (report.accounts, report.holds_open, report.checks) == (2, 3, len(CHECKS))


async def test_every_corruption_is_named(database: Database, ledger: LedgerWriter, database_url: str) -> None:
    await _live_a_little(database, ledger)
    missed = {}
    more = [*MORE.items(), *SWAPS.items()]
    ways = [*CORRUPTIONS.items(), *((check, way) for check, ways in more for way in ways)]
    for check, corruption in ways:
        try:
            report = await _audit_with(database_url, corruption, check)
        except psycopg.Error as error:
            report = {str(error).splitlines()[0]: 1}
        if check not in report:
            missed[corruption] = report
    assert not missed, "".join(f"\n{corruption}\n    {report}" for corruption, report in missed.items())


async def test_what_constraints_and_triggers_refuse(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    await _live_a_little(database, ledger)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for statement in IMPOSSIBLE:
            with pytest.raises(psycopg.errors.IntegrityError):
                await connection.execute(statement.encode())
    async with database.connection() as opened:
        assert (await audit(opened)).clean


async def _audit_with(url: str, corruption: str, check: str) -> dict[str, int]:
    """The audit's own query inside the transaction that plants the corruption, which is rolled back.

    All its queries where that one finds nothing: what they find instead is shown.
    """
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("SET session_replication_role = replica")  # no trigger, no foreign key
        for statement in corruption.split("; "):
            await connection.execute(statement)
        counts = {}
        for name, query in ({check: CHECKS[check]} | CHECKS).items():
            rows = await (await connection.execute(query)).fetchall()
            if rows:
                counts[name] = len(rows)
            if check in counts:
                break
        await connection.rollback()
    return counts


def _yout(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "YOUT_DATABASE_URL": url, "YOUT_SECRET_KEY": SECRET}
    return fork_server.running().finish(["cli", *words], environment)


async def test_the_command_tells_by_its_exit_code(database: Database, ledger: LedgerWriter, database_url: str) -> None:
    await _live_a_little(database, ledger)
    clean = _yout(database_url, "audit", "--json")
    assert clean.returncode == 0, clean.stderr
    assert json.loads(clean.stdout)["clean"] is True

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE accounts SET available = available + 12")
    drifted = _yout(database_url, "audit")
    assert drifted.returncode == 1
    assert "available_drift" in drifted.stdout
    assert "DRIFT of 24 credits" in drifted.stdout

    unreachable = _yout("postgresql://nobody@127.0.0.1:1/none", "audit")
    assert unreachable.returncode == 2
    assert "error:" in unreachable.stderr

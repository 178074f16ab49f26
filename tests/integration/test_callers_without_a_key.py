"""The ledger and callers who are an account: signed in, or visitors. Keys are what every other test has."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

from db.engine import Database
from db.writer import LedgerWriter
from domain.caller import Payer, Visitor, WebSession
from domain.errors import RateLimited
from domain.limits import NO_LIMITS, Limits
from domain.operations import IdempotencyClaim, Reserve
from domain.results import Replay, Reserved
from tests.integration.test_ledger import outcome
from tests.support.bank import Customer, open_account, reserve, settle


def paid_by(payer: Payer, customer: Customer, amount: int) -> Reserve:
    order = reserve(customer, amount)
    return replace(order, digest=payer.digest, account_id=payer.account_id)


async def test_who_is_signed_in_calls_once_under_one_idempotency_key(database: Database, ledger: LedgerWriter) -> None:
    ann, bob = await open_account(database, ledger, 1000), await open_account(database, ledger, 1000)
    session = WebSession(session_id=uuid.uuid4(), user_id=uuid.uuid4())
    claim = IdempotencyClaim(b"scope", b"fingerprint", previous=((b"older scope", b"older fingerprint"),))
    first = replace(paid_by(session.payer(ann.account_id, NO_LIMITS, datetime.now(UTC)), ann, 50), claim=claim)
    held = await ledger.ask(first)
    assert isinstance(held, Reserved)
    assert held.key_id is None
    await ledger.ask(settle(ann, held.hold_id, 20))
    for again in (claim, replace(claim, scope=b"older scope", fingerprint=b"older fingerprint", previous=())):
        replay = await ledger.ask(replace(first, hold_id=uuid.uuid4(), claim=again))
        assert isinstance(replay, Replay)
        assert replay.hold_id == held.hold_id
    other = replace(paid_by(session.payer(bob.account_id, NO_LIMITS, datetime.now(UTC)), bob, 50), claim=claim)
    assert isinstance(await ledger.ask(other), Reserved)
    by_key = replace(reserve(ann, 50), claim=claim)
    assert isinstance(await ledger.ask(by_key), Replay)


async def test_all_visitors_together_have_so_many_calls_at_a_time(database: Database, ledger: LedgerWriter) -> None:
    customer = await open_account(database, ledger, 1000)
    visitor = Visitor(visitor_id=uuid.uuid4(), network="192.0.2.7", limits=Limits(concurrent=1))
    ceiling = visitor.ceiling(NO_LIMITS)
    payer = visitor.payer(customer.account_id, ceiling, datetime.now(UTC))
    held = await ledger.ask(replace(paid_by(payer, customer, 60), ceiling=ceiling))
    assert isinstance(held, Reserved)
    assert isinstance(await outcome(ledger, replace(paid_by(payer, customer, 60), ceiling=ceiling)), RateLimited)
    await ledger.ask(settle(customer, held.hold_id, 20))
    assert isinstance(await ledger.ask(replace(paid_by(payer, customer, 60), ceiling=ceiling)), Reserved)

"""Charges explained: what was settled by the ledger's rules is found again from what it left."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from domain.errors import NotFound
from domain.holds import Hold, HoldState
from domain.ids import chat_id
from domain.ledger import LedgerAccount, Posting, TransactionKind
from domain.meters import Tier, TokenPrices, per_thousand
from domain.pricing import Usage, UsageSource
from domain.receipts import Calculation, Extension, Movement, Receipt, public_id, read_id

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CALL = UUID(int=7)
RATES = per_thousand(input=Decimal(300), output=Decimal(1500), cached_input=Decimal(30), cache_write=Decimal(375))
DEARER = per_thousand(input=Decimal(600), output=Decimal(3000), cached_input=Decimal(60), cache_write=Decimal(750))
PRICES = TokenPrices(RATES, (Tier(1000, DEARER),))


def hold(charged: int, written_off: int = 0, *, amount: int = 500, prices: TokenPrices | None = PRICES) -> Hold:
    settled = Hold(CALL, UUID(int=1), None, "chat", "m", HoldState.SETTLED, amount, prices=prices)
    settled.charged, settled.written_off = charged, written_off
    return settled


def used(given: int, output: int) -> Usage:
    return Usage(given, output, UsageSource.PROVIDER)


@pytest.mark.parametrize(
    ("settled", "usage", "explained"),
    [
        (hold(303), used(1000, 2), Calculation("303", 303, minimum_applied=False, capped_at_hold=False, cost=303)),
        (hold(8), used(15, 2), Calculation("7.5", 8, minimum_applied=False, capped_at_hold=False, cost=8)),
        (hold(10), used(15, 2), Calculation("7.5", 8, minimum_applied=True, capped_at_hold=False, cost=10)),
        (hold(10), used(0, 0), Calculation("0", 0, minimum_applied=True, capped_at_hold=False, cost=10)),
        (hold(0), used(0, 0), Calculation("0", 0, minimum_applied=False, capped_at_hold=False, cost=0)),
        (hold(500), used(900, 200), Calculation("570", 570, minimum_applied=False, capped_at_hold=True, cost=500)),
        (hold(510, 60), used(900, 200), Calculation("570", 570, minimum_applied=False, capped_at_hold=False, cost=570)),
        (
            hold(601),
            used(1001, 0),
            Calculation("600.6", 601, minimum_applied=False, capped_at_hold=False, cost=601),
        ),
        (
            hold(500, prices=None),
            Usage(0, 0, UsageSource.FLAT),
            Calculation("500", 500, minimum_applied=False, capped_at_hold=False, cost=500),
        ),
        (hold(303), None, None),
    ],
)
def test_how_a_charge_came_about(settled: Hold, usage: Usage | None, explained: Calculation | None) -> None:
    assert Receipt(settled, usage, ()).calculation == explained


def test_the_rates_that_the_input_reached() -> None:
    assert Receipt(hold(1), used(1000, 0), ()).applied == PRICES.rates
    assert Receipt(hold(1), used(1001, 0), ()).applied == PRICES.tiers[0].rates
    assert Receipt(hold(1), None, ()).applied is None


def test_a_hold_that_grew_is_told_apart() -> None:
    def movement(kind: TransactionKind, amount: int) -> Movement:
        lines = (Posting(LedgerAccount.AVAILABLE, -amount), Posting(LedgerAccount.HELD, amount))
        return Movement(UUID(int=amount), kind, NOW, None, lines)

    movements = [movement(TransactionKind.HOLD, 100), movement(TransactionKind.EXTEND, 300)]
    movements.append(movement(TransactionKind.EXTEND, 100))
    receipt = Receipt(hold(500), used(0, 0), tuple(movements))
    assert receipt.held_at_first == 100
    assert receipt.extensions == (Extension(300, NOW), Extension(100, NOW))


def test_nothing_is_to_be_explained_before_the_end() -> None:
    running = hold(0)
    running.state = HoldState.OPEN
    assert Receipt(running, None, ()).calculation is None


def test_public_ids() -> None:
    job = hold(1, prices=None)
    job.kind = "video"
    assert public_id(hold(1)) == chat_id(CALL)
    assert public_id(job) == str(CALL)
    for text in (chat_id(CALL), f"resp_{CALL.hex}", str(CALL), CALL.hex):
        assert read_id(text) == CALL
    for text in ("", "chatcmpl-", "chatcmpl-xyz", "7", "\0"):
        with pytest.raises(NotFound):
            read_id(text)

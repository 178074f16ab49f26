"""How a hold ends: charged, released, swept or refunded; and what keeps it open until then."""

from dataclasses import replace
from functools import partial
from typing import assert_never

from domain import pricing
from domain.books import Books, closed, usage_entry
from domain.conversations import ConversationState
from domain.errors import AmountTooLarge, EndedByPurge, HoldClosed, HoldVoided, NotFound
from domain.holds import ClosedBy, Hold, HoldState
from domain.ledger import Account, AppendedTurn, TransactionKind
from domain.meters import MODEL
from domain.money import MAX_AMOUNT
from domain.operations import Refund, Renew, SavedTurn, Settle, Sweep, Void
from domain.pricing import Usage, UsageSource
from domain.results import Closed, Renewed

ERASED_CHARGE = "A purge has ended the epoch of this charge: it is rolled up, and cannot be refunded."


def renew(books: Books, operation: Renew) -> Renewed:
    hold = books.hold(operation.hold_id)
    if hold.state is not HoldState.OPEN:
        raise HoldClosed
    hold.relayed_output = max(hold.relayed_output, operation.relayed_output)
    if hold.lease_until is not None:
        hold.lease_until = books.state.now + operation.lease
    books.change(hold)
    return Renewed(hold.lease_until, cut=hold.id in books.state.cut, erased=hold.id in books.state.erased)


def settle(books: Books, operation: Settle) -> Closed:
    hold = books.hold(operation.hold_id)
    account = books.owner(hold, operation.account_id)
    match hold.state:
        case HoldState.OPEN:
            return _charge(books, hold, account, operation)
        case HoldState.SETTLED:
            again = closed(hold, account, repeated=True)
            saved = operation.turn is not None and operation.turn.conversation_id in books.state.conversations
            return replace(again, saved=True) if saved else again
        case HoldState.VOID:
            raise HoldVoided if hold.epoch == account.epoch else EndedByPurge
        case HoldState.ERASED:
            raise EndedByPurge
    assert_never(hold.state)


def void(books: Books, operation: Void) -> Closed:
    hold = books.state.holds.get(operation.hold_id)
    if hold is None:
        return write_tombstone(books, operation)
    account = books.owner(hold, operation.account_id)
    if hold.state is not HoldState.OPEN:  # whoever committed first won; only a refund reverses a charge
        return closed(hold, account, repeated=True)
    return _release(books, hold, account, operation.closed_by)


def sweep(books: Books, operation: Sweep) -> Closed:
    hold = books.hold(operation.hold_id)
    account = books.owner(hold, operation.account_id)
    if hold.state is not HoldState.OPEN:
        return closed(hold, account, repeated=True)
    alive = hold.lease_until is None or hold.lease_until > books.state.now
    if alive and not (operation.cut and hold.lease_until is not None and hold.epoch < account.epoch):
        raise HoldClosed("This hold is alive.")
    if hold.relayed_output == 0:
        return _release(books, hold, account, ClosedBy.SWEEPER)
    usage = _estimated(hold)
    model = (usage.service_tier or "").removeprefix(MODEL).partition(" ")[0] or None
    return _charge(books, hold, account, Settle(hold.id, account.id, usage, False, ClosedBy.SWEEPER, model=model))


def _estimated(hold: Hold) -> Usage:
    """The usage of a call whose process is gone. Of several models any may have answered: it costs as the cheapest."""
    usage = Usage(hold.input_count, hold.relayed_output, UsageSource.ESTIMATED)
    if hold.prices is None:
        return usage
    tiers = [name for name in hold.prices.service_tiers if name.startswith(MODEL)]
    each = [usage, *(replace(usage, service_tier=name) for name in tiers)]
    return min(each, key=partial(pricing.billionths, hold.prices))


def refund(books: Books, operation: Refund) -> Closed:
    hold = books.hold(operation.hold_id)
    account = books.owner(hold, operation.account_id)
    if hold.state is HoldState.OPEN:
        return _release(books, hold, account, operation.closed_by)
    if hold.epoch < account.epoch:
        raise EndedByPurge(ERASED_CHARGE)
    if hold.state is HoldState.VOID or hold.refunded or not hold.charged:
        return closed(hold, account, repeated=True)
    if hold.charged > MAX_AMOUNT - account.available - account.held:
        raise AmountTooLarge
    hold.refunded = hold.charged
    books.change(hold)
    books.move(
        account,
        hold,
        TransactionKind.REFUND,
        operation.note,
        available=hold.charged,
        revenue=-hold.charged - hold.written_off,
        written_off=hold.written_off,
    )
    books.spend(hold, -hold.charged)
    return closed(hold, account)


def _charge(books: Books, hold: Hold, account: Account, operation: Settle) -> Closed:
    """A cost above the hold takes what is available, up to what its caller and its key allow.

    The rest is written off, visibly.
    """
    if hold.prices is None:
        usage = Usage(0, 0, UsageSource.FLAT)  # whatever was counted, the price is flat
        cost = hold.amount if operation.share is None else operation.share.of(hold.amount)
    else:
        usage = operation.usage or Usage(0, 0, UsageSource.COUNTED)
        cost = pricing.charge(hold.prices, usage, minimum=operation.minimum)
    if operation.capped or not operation.minimum:
        cost = min(cost, hold.amount)
    from_hold = min(cost, hold.amount)
    extra = min(cost - from_hold, account.available, books.headroom(hold))
    written_off = cost - from_hold - extra
    hold.charged, hold.written_off = from_hold + extra, written_off
    books.close(hold, account, HoldState.SETTLED, operation.closed_by)
    books.move(
        account,
        hold,
        TransactionKind.CHARGE,
        available=hold.amount - from_hold - extra,
        held=-hold.amount,
        revenue=cost,
        written_off=-written_off,
    )
    books.free(hold, usage)
    books.changes.usage.append(usage_entry(hold, usage, operation, books.moving(account)))
    if operation.sealed is not None and hold.epoch == account.epoch:
        books.changes.sealed[hold.id] = operation.sealed
    saved = operation.turn is not None and _append(books, hold, account, operation.turn)
    return replace(closed(hold, account), saved=saved) if saved else closed(hold, account)


def _append(books: Books, hold: Hold, account: Account, turn: SavedTurn) -> bool:
    """Append a call to its conversation. Nothing is saved of an earlier epoch, or in a conversation that is gone."""
    conversation = books.state.conversations.get(turn.conversation_id)
    begins = conversation is None and turn.title is not None
    if begins:
        conversation = ConversationState(account.id, turn.epoch, 0)
    if conversation is None or conversation.account_id != account.id:
        return False
    if {hold.epoch, turn.epoch, conversation.epoch} != {account.epoch}:
        return False
    first = conversation.messages + 1
    sealed = turn.seal(first, hold.charged)
    title = turn.title if begins else None
    books.changes.turns.append(
        AppendedTurn(turn.conversation_id, account.id, turn.epoch, hold.id, first, sealed, title)
    )
    after = replace(conversation, messages=conversation.messages + len(sealed))
    books.state.conversations[turn.conversation_id] = after
    return True


def _release(books: Books, hold: Hold, account: Account, closed_by: ClosedBy) -> Closed:
    books.close(hold, account, HoldState.VOID, closed_by)
    books.move(account, hold, TransactionKind.RELEASE, available=hold.amount, held=-hold.amount)
    books.free(hold, None)
    return closed(hold, account)


def write_tombstone(books: Books, operation: Void) -> Closed:
    """Write a void hold, so that a late `Reserve` of the same id fails."""
    account = books.state.accounts.get(operation.account_id)
    if account is None:
        raise NotFound
    now, state = books.state.now, HoldState.VOID
    tombstone = Hold(operation.hold_id, account.id, None, operation.kind, operation.model, state, 0, created_at=now)
    tombstone.epoch, tombstone.closed_at, tombstone.closed_by = account.epoch, now, operation.closed_by
    books.place(tombstone)
    return closed(tombstone, account)

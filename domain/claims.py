"""Claims of calls under their `Idempotency-Key`s: which call a claim finds. Decided under the account's lock."""

from domain.books import Books
from domain.errors import AlreadyRunning, KeyReused
from domain.holds import Hold, HoldState
from domain.ledger import Account, IdempotencyRecord
from domain.operations import IdempotencyClaim, Reserve


def counting(operation: Reserve, account: Account) -> IdempotencyClaim | None:
    """The claim of a call. One without an `Idempotency-Key` counts only where the account recognises retries."""
    if operation.claim is not None and not operation.claim.implicit:
        return operation.claim
    if not account.recognise_retries:
        return None
    return operation.claim or (operation.implicit() if operation.implicit else None)


def is_remembered(books: Books, claim: IdempotencyClaim, placed: Hold) -> bool:
    """Whether a call that asks again has claimed. One that adopts nothing always has: its claim is not looked up."""
    record = books.state.claims.get((placed.account_id, claim.scope))
    return not claim.adopts or (record is not None and record.hold_id == placed.id)


def remember(books: Books, claim: IdempotencyClaim, hold: Hold) -> None:
    """Under every secret's scope: a process that knows an older secret alone has to find it as well."""
    for scope, fingerprint in claim.identities:
        record = IdempotencyRecord(fingerprint, hold.id, None, hold.epoch, claim.remembered)
        books.state.claims[hold.account_id, scope] = books.changes.claims[hold.account_id, scope] = record


def made_before(
    books: Books, operation: Reserve, claim: IdempotencyClaim, account: Account
) -> tuple[Hold, bytes | None] | None:
    """The call and its sealed answer; or None: the claim is free.

    A call that was not charged is not remembered; a job is, however it ended.
    """
    if not claim.adopts:
        return None
    for scope, fingerprint in claim.identities:
        record = books.state.claims.get((account.id, scope))
        if record is not None and record.epoch < account.epoch:
            continue  # a purge erases it
        hold = books.state.holds.get(record.hold_id) if record else None
        if hold is not None and hold.account_id != account.id:
            continue  # never another account's call or job, whatever the row says
        if record and (earlier := _remembered(books, operation, record, fingerprint)):
            return earlier
    return None


def _remembered(
    books: Books, operation: Reserve, record: IdempotencyRecord, fingerprint: bytes
) -> tuple[Hold, bytes | None] | None:
    hold = books.state.holds.get(record.hold_id)
    is_job = operation.lease is None
    if hold is None or ((hold.state is HoldState.VOID or hold.refunded) and not is_job):
        return None
    if record.fingerprint != fingerprint:
        raise KeyReused("This Idempotency-Key was used before for a different request.")
    if hold.state is HoldState.OPEN and not is_job:
        raise AlreadyRunning
    return hold, books.changes.sealed.get(hold.id, record.sealed)  # it may have ended in this very batch

"""The operations of the ledger, as values. Each has its effect once, however often it is sent; `Admit` each time."""

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import timedelta
from uuid import UUID

from domain.errors import GatewayError
from domain.holds import LEASE, ClosedBy
from domain.key_rules import KeyRules
from domain.limits import NO_LIMITS, Limits
from domain.pricing import FlatTerms, Share, TextTerms, Usage
from domain.records import record

REMEMBERED = timedelta(hours=24)
"""How long an `Idempotency-Key` is remembered, unless the operator sets another time."""


@record
class IdempotencyClaim:
    """An `Idempotency-Key`, as the ledger sees it: keyed hashes alone."""

    scope: bytes
    """Of the endpoint and the key."""
    fingerprint: bytes
    """Of the request."""
    adopts: bool = True
    """False for the first attempt of a recognised retry: it begins anew, whatever was before."""
    implicit: bool = False
    """No `Idempotency-Key` was sent: counts only for an account that has its SDK's retries recognised."""
    remembered: timedelta = REMEMBERED
    previous: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    """Scope and fingerprint of the same request by each previous secret."""

    @property
    def identities(self) -> tuple[tuple[bytes, bytes], ...]:
        """All scopes under which this request may be recorded, each with the request's fingerprint in it."""
        return ((self.scope, self.fingerprint), *self.previous)


@record
class Admit:
    """Authenticate a caller and take one of its requests, before work is done for it. Asked again: one more.

    The caller is a key's digest, or a known account.
    """

    digest: bytes | None = None
    scope: str | None = None
    ceiling: Limits = NO_LIMITS
    account_id: UUID | None = None


@record
class Reserve:
    """Authenticate the caller and hold the bound of a call. The caller is a key's digest, or a known account."""

    hold_id: UUID
    scope: str
    kind: str
    model: str
    terms: TextTerms | FlatTerms | GatewayError
    """What the call may cost; or why it cannot be made: then only the earlier call of its claim is an answer."""
    digest: bytes | None = None
    account_id: UUID | None = None
    lease: timedelta | None = LEASE
    """None for media jobs: only their own paths end them."""
    others: tuple[str, ...] = ()
    """Models that may answer in place of `model`."""
    pro_only: bool = False
    ceiling: Limits = NO_LIMITS
    """The operator's maximum of every limit."""
    claim: IdempotencyClaim | None = None
    implicit: Callable[[], IdempotencyClaim] | None = None
    """What a retry of this call would claim: made only for an account that has those recognised."""
    unroutable: Callable[[KeyRules], GatewayError | None] | None = None
    """The error if no route may answer under the rules of the key: called for a key that has any."""
    max_credits: int | None = None
    """The caller's own bound of this call: it never holds more, nor is charged more."""
    admitted: bool = False
    """An `Admit` has taken its request already."""


@record
class Renew:
    """A sign of life with the output tokens that were relayed so far."""

    hold_id: UUID
    relayed_output: int
    lease: timedelta = LEASE


@record
class SavedTurn:
    """The messages of a call and its answer, for its conversation. The transaction that charges it appends them."""

    conversation_id: UUID
    epoch: int
    """Of the key that seals them."""
    seal: Callable[[int, int], Sequence[bytes]]
    """Seals the messages for their positions: takes the first one's, and the credits that were charged."""
    title: bytes | None = field(default=None, repr=False)
    """Sealed. None if the conversation was there before this call."""


@record
class Settle:
    """Charge a hold, once. `usage` is None for a flat price."""

    hold_id: UUID
    account_id: UUID
    usage: Usage | None
    minimum: bool = True
    """False when the stream broke or its client left: no minimum, and never above the hold."""
    closed_by: ClosedBy = ClosedBy.CALL
    sealed: bytes | None = field(default=None, repr=False)
    """The answer, for a replay under the call's claim: readable to whoever sends the same token and key again."""
    provider: str | None = None
    cost: int | None = None
    """What that provider bills us, in billionths of a credit. None: not known."""
    turn: SavedTurn | None = None
    """What the account keeps of the call."""
    model: str | None = None
    """The model that answered. None: the hold's."""
    capped: bool = False
    """Its client had left before the provider finished: never above the hold."""
    share: Share | None = None
    """Of a flat price: how much of what was ordered was made. None: all of it."""


@record
class Extend:
    """Hold more for a stream that goes on: up to `output_limit` tokens of output in each choice."""

    hold_id: UUID
    account_id: UUID
    output_limit: int


@record
class Void:
    """Release a hold unless it was settled. One that was never placed gets a tombstone that a late `Reserve` meets."""

    hold_id: UUID
    account_id: UUID
    kind: str
    model: str
    closed_by: ClosedBy = ClosedBy.CALL


@record
class Sweep:
    """Settle or release a hold whose lease has run out; leave any other alone."""

    hold_id: UUID
    account_id: UUID
    cut: bool = False
    """For a purge: end a hold of an older epoch too, whatever its lease."""


@record
class Refund:
    """Undo a hold's charge, once; release it when it is still open. The charge stays visible beside its refund."""

    hold_id: UUID
    account_id: UUID
    closed_by: ClosedBy = ClosedBy.CALL
    note: str | None = field(default=None, repr=False)
    """The reason. The transaction keeps it; the account's owner sees it."""


@record
class Grant:
    """Give credits. The same `ref` gives them once."""

    account_id: UUID
    amount: int
    ref: str
    note: str | None = field(default=None, repr=False)
    """What it is for. The account's owner sees it."""


@record
class Adjust:
    """Correct a balance by the operator's hand, never to below zero. The same `ref` does it once."""

    account_id: UUID
    amount: int
    ref: str
    note: str = field(repr=False)


Operation = Admit | Reserve | Renew | Extend | Settle | Void | Sweep | Refund | Grant | Adjust

"""What the ledger's operations return: one result each, or an error."""

from dataclasses import field
from datetime import datetime
from uuid import UUID

from domain.errors import GatewayError
from domain.holds import HoldState
from domain.key_rules import NO_RULES, KeyRules
from domain.limits import Left
from domain.records import record


@record
class Admitted:
    account_id: UUID
    available: int
    held: int
    requests: Left | None
    tokens: Left | None
    key_expires: datetime | None = None
    """When the token of the request ends, by a rotation or with its key."""


@record
class Reserved:
    hold_id: UUID
    account_id: UUID
    key_id: UUID | None
    amount: int
    output_limit: int | None
    available: int
    held: int
    requests: Left | None = None
    tokens: Left | None = None
    claimed: bool = False
    """Its claim was recorded: its answer is to be sealed when it settles."""
    keep_history: bool = False
    """The account keeps its chats without being asked."""
    key_expires: datetime | None = None
    rules: KeyRules = NO_RULES
    """Of its key, whatever the request says."""
    epoch: int = 1
    """The account's epoch: what the call writes belongs to it, and is refused in a later one."""


@record
class Replay:
    """The claim was used by a call that has ended and was charged, or by a job: this is it."""

    hold_id: UUID
    account_id: UUID
    sealed: bytes | None = field(repr=False)
    charged: int
    available: int
    requests: Left | None = None
    tokens: Left | None = None
    key_expires: datetime | None = None


@record
class Extended:
    output_limit: int
    amount: int
    available: int


@record
class Closed:
    """A hold's end. `charged` is 0 for a released one; `repeated` when it had ended before."""

    state: HoldState
    charged: int
    written_off: int
    available: int
    held: int
    repeated: bool = False
    saved: bool = False
    """The call's messages and its answer were appended to its conversation."""


@record
class Renewed:
    lease_until: datetime | None
    cut: bool = False
    """Its key was revoked or its account suspended meanwhile: nothing more may be relayed."""
    erased: bool = False
    """A purge of its account began meanwhile: nothing more may be relayed."""


@record
class Granted:
    """What a grant or an adjustment left."""

    available: int
    repeated: bool


Answer = Admitted | Reserved | Replay | Extended | Closed | Renewed | Granted
Result = Answer | GatewayError

"""Who calls: an account by one of three credentials, each with limits of its own and its own way to be paid for.

Each credential knows what is left of its rate limits, its budget, how the ledger is to find its account, and the
secret that seals the answers which are kept for it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain import keys, limits, rates
from domain.bounds import lowest
from domain.errors import CallerUnknown, ScopeMissing
from domain.limits import NO_LIMITS, Left, Limits, Used
from domain.privacy import Privacy
from domain.rates import AccountCounters, Rate


@dataclass(frozen=True, slots=True)
class Payer:
    """Names who pays for a hold. `digest` or `account_id` is set, or both."""

    digest: bytes | None = None
    """A key's: the ledger authenticates it again, under lock, in the transaction that holds."""
    account_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential(ABC):
    limits: Limits = NO_LIMITS
    """Its own; the operator's ceiling holds beside them."""
    used: Used = field(default_factory=Used)
    models: frozenset[str] | None = None
    """The models that it may call. None: all."""
    expires_at: datetime | None = None
    """When the token of the request ends. None: it has no end, or is no token."""
    privacy: Privacy = Privacy.DEFAULT
    """What it requires of providers, whatever a request says."""
    strict: bool = False
    """A parameter that no provider of the model takes is refused, not dropped."""

    def budget_left(self, ceiling: Limits, now: datetime) -> int | None:
        """Credits that it may still hold in this day and month. None means that it has no budget."""
        budgets = (limits.budget_left(allowed, used) for allowed, used in self.counted(ceiling, now))
        return lowest(*budgets)

    def counted(self, ceiling: Limits, now: datetime) -> Sequence[tuple[Limits, Used]]:
        """All limits that its calls count on, each with its counters."""
        return ((self.limits.within(ceiling), self.used.at(now)),)

    def rates(self) -> tuple[Rate, ...]:
        """All rates per minute of its own."""
        return (rates.of_key(self.used, self.limits),)

    def ceiling(self, operator: Limits) -> Limits:
        """Return the operator's limits of its account."""
        return operator

    @property
    @abstractmethod
    def replay_secret(self) -> str | None:
        """The secret that seals stored answers for retries. None means that no answer is stored."""

    @abstractmethod
    def payer(self, account_id: UUID, ceiling: Limits, now: datetime) -> Payer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Credential):
    """A key of the account. Its limits and its death are checked by the ledger itself."""

    key_id: UUID
    digest: bytes
    token: str = field(repr=False)
    last_used_at: datetime | None = None
    parents: tuple[tuple[Limits, Used], ...] = ()
    """Limits and counters of the keys that its calls count on, too."""

    @property
    def replay_secret(self) -> str:
        return self.token

    def counted(self, ceiling: Limits, now: datetime) -> Sequence[tuple[Limits, Used]]:
        return (*Credential.counted(self, ceiling, now), *((own, used.at(now)) for own, used in self.parents))

    def rates(self) -> tuple[Rate, ...]:
        return (rates.of_key(self.used, self.limits), *(rates.of_key(used, own) for own, used in self.parents))

    def payer(self, account_id: UUID, ceiling: Limits, now: datetime) -> Payer:
        return Payer(self.digest, account_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession(Credential):
    """The account's owner, signed in with a browser. Has the balance, and no budget of its own."""

    session_id: UUID
    user_id: UUID

    @property
    def replay_secret(self) -> None:
        """None: an answer is sealed only with an API key. A retry gets the id of the charge."""
        return None

    def payer(self, account_id: UUID, ceiling: Limits, now: datetime) -> Payer:
        return Payer(account_id=account_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor(Credential):
    """Somebody without an account. The house account pays; `limits` hold for all visitors together."""

    visitor_id: UUID
    """Of the cookie."""
    network: str = field(repr=False)
    """Of the address. It goes into keyed hashes alone."""

    def ceiling(self, operator: Limits) -> Limits:
        return self.limits.within(operator)

    @property
    def replay_secret(self) -> None:
        """None: others may share a visitor's address and could request a stored answer."""
        return None

    def payer(self, account_id: UUID, ceiling: Limits, now: datetime) -> Payer:
        return Payer(account_id=account_id)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    account_id: UUID
    scopes: frozenset[str]
    credential: Credential
    counters: AccountCounters = field(default_factory=AccountCounters)
    """Its account's, of the operator's ceiling."""

    @property
    def key(self) -> ApiKey | None:
        """The key that was presented, if it was one."""
        return self.credential if isinstance(self.credential, ApiKey) else None

    @property
    def replay_secret(self) -> str | None:
        return self.credential.replay_secret

    def may_call(self, model: str) -> bool:
        """Tell whether its key's list of models has this one."""
        return self.credential.models is None or model in self.credential.models

    def require_scope(self, scope: str) -> None:
        """Raises `ScopeMissing`."""
        if scope not in self.scopes:
            raise ScopeMissing(scope)

    def rates_left(self, ceiling: Limits, now: datetime) -> tuple[Left | None, Left | None]:
        """Requests and tokens per minute that are left to it and to its account, for the answer's headers."""
        return rates.left((*self.credential.rates(), rates.of_account(self.counters, ceiling)), now)

    def ceiling(self, operator: Limits) -> Limits:
        return self.credential.ceiling(operator)

    def payer(self, ceiling: Limits, now: datetime) -> Payer:
        return self.credential.payer(self.account_id, ceiling, now)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A caller as a request names it by a key. The ledger finds out whose it is, and what it may do, when it holds."""

    token: str = field(repr=False)
    digest: bytes

    @classmethod
    def of(cls, token: str) -> "PresentedKey":
        """Read a token. Raises `CallerUnknown` when its checksum is wrong."""
        if not keys.well_formed(token):
            raise CallerUnknown
        return cls(token, keys.digest(token))

    @property
    def replay_secret(self) -> str:
        return self.token

    def require_scope(self, scope: str) -> None:
        """The ledger checks the scope, under lock."""

    def ceiling(self, operator: Limits) -> Limits:
        return operator

    def payer(self, ceiling: Limits, now: datetime) -> Payer:
        return Payer(self.digest)


AnyCaller = Caller | PresentedKey
"""Who makes a call that holds credits: looked up already, or by the ledger."""

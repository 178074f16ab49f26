"""What can go wrong for a caller, as a tree. The domain knows no HTTP status: `api/error_codes.py` has them.

GatewayError
├── CallerUnknown                 no valid key
│   └── SignInRequired            a visitor may not do this
├── ScopeMissing                  the key may not do this
├── AuthorityExceeded             the key would give or take more than it has
├── ProRequired                   the model needs an active plan
├── AccountSuspended
├── SignInFailed                  this address and this password are not a user's
├── CrossSite                     a browser was made to ask by another site
├── InsufficientCredits           nothing was sent, nothing is held
│   └── AllowanceUsedUp           a visitor has sent the messages of the day
├── BelowZero                     an adjustment would take more than there is
├── ModelNotFound
├── NotFound                      job, key, output … of this caller
├── RequestInvalid                names the field
│   ├── LinkUnusable              a link that was mailed, used up or too old
│   └── ContextLengthExceeded
├── RequestTooLarge
├── StorageFull                   the account's files take all the space that it has
├── RateLimited
├── KeyReused                     an id or Idempotency-Key met a different request
├── AlreadyRunning                the same Idempotency-Key is still at work
├── ReplayGone                    answered before; that answer cannot be given again
├── EndedByPurge                  a purge of the account has ended this call
├── HoldVoided                    the hold was released before this step
├── HoldClosed                    the hold was already settled
├── UpstreamError                 provider failed
│   ├── UpstreamTimeout
│   ├── AdapterFault              our own adapter failed
│   ├── RetentionDenied           provider keeps a call that it must not keep
│   ├── UpstreamBusy              provider said: later
│   ├── UpstreamGone              provider no longer has this job, or its files
│   ├── OutputTooLarge
│   └── UpstreamRefused           provider rejects this input; asking again is of no use
│       └── ContentPolicyViolation
├── JobFailed                     the job whose output a request waits for
├── LinkInvalid                   a signed link that has expired, or that we did not sign
├── ServiceUnavailable            our database or Temporal is away
└── AmountTooLarge
"""

import traceback
from datetime import datetime, timedelta
from uuid import UUID

from domain.counts import counted
from domain.limits import Left


class GatewayError(Exception):
    """`str()` of any of these may be shown to the caller: no upstream text, prompt, key or host is ever put in."""

    code = "internal_error"
    left: tuple[Left | None, Left | None] | None = None
    """Requests and tokens per minute that the key has left. Set when the ledger knew the key and refused the call."""

    key_expires: datetime | None = None
    """When the token of the request ends. Set together with `left`."""
    unsupported: frozenset[str] = frozenset()
    """Fields of the request that its provider names as unsupported. It can be asked again without them."""
    reported = False
    """True: the log has the cause and its remedy, so that whoever meets the error logs nothing more."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])

    @property
    def message(self) -> str:
        return str(self)


class CallerUnknown(GatewayError):
    """Incorrect API key, or none. Send `Authorization: Bearer <key>` with an active key of your account, or sign in."""

    code = "invalid_api_key"


class SignInRequired(CallerUnknown):
    """This needs an account. Sign in, or send `Authorization: Bearer <key>` with an active key of your account."""


class ScopeMissing(GatewayError):
    """This API key lacks a scope that the request needs."""

    code = "insufficient_scope"

    def __init__(self, scope: str = "") -> None:
        super().__init__(f"This API key lacks the scope '{scope}'. Create a key that has it.")


class AuthorityExceeded(GatewayError):
    """This API key cannot give more than it has, nor change a key that has more."""

    code = "insufficient_scope"

    def __init__(self, message: str = "", *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class ProRequired(GatewayError):
    """This model needs an active plan."""

    code = "pro_required"


class AccountSuspended(GatewayError):
    """This account is suspended. Write to the operator of this server."""

    code = "insufficient_scope"


class SignInFailed(GatewayError):
    """E-mail address and password do not match."""

    code = "invalid_value"


class CrossSite(GatewayError):
    """Only a page of this server may ask for this with a browser's cookie. Programs use an API key."""

    code = "insufficient_scope"


class InsufficientCredits(GatewayError):
    """The balance cannot cover the estimated cost."""

    code = "insufficient_credits"
    resets_at: datetime | None = None
    """From when on waiting helps: the budget of the key begins anew."""

    def __init__(self, required: int, available: int, held: int, limit_source: str = "balance") -> None:
        super().__init__(_shortage(required, available, held, limit_source))
        self.required = required
        self.available = available
        self.held = held
        self.limit_source = limit_source

    def until(self, resets_at: datetime) -> "InsufficientCredits":
        """The same error, which says when the budget begins anew."""
        self.resets_at = resets_at
        self.args = (f"{self.message} This budget begins anew at {resets_at:%Y-%m-%d %H:%M} UTC.",)
        return self


def _shortage(required: int, available: int, held: int, limit_source: str) -> str:
    needs = f"This call needs up to {counted(required, 'credit')}"
    less = "ask for less output (max_tokens, n, duration)."
    if limit_source == "max_credits":
        return f"{needs}, more than the {available:,} of its max_credits. Raise max_credits, or {less}"
    if limit_source == "key_budget":
        return f"{needs}; this key's budget has {available:,} left. Raise the budget, or {less}"
    return f"{needs}; {available:,} available and {held:,} held by calls in flight. Add credits, or {less}"


class AllowanceUsedUp(InsufficientCredits):
    """You have sent the free messages of today. Sign in to go on, or come back tomorrow (UTC)."""

    def __init__(self, message: str, resets_at: datetime) -> None:
        GatewayError.__init__(self, message)
        self.required, self.available, self.held = 1, 0, 0
        self.limit_source = "anonymous_allowance"
        self.resets_at = resets_at


class BelowZero(GatewayError):
    """An adjustment cannot take more than the account has available."""

    code = "insufficient_credits"

    def __init__(self, taken: int, available: int, held: int) -> None:
        super().__init__(
            f"The account has {counted(available, 'credit')} available and {held:,} held; "
            f"taking {taken:,} would leave less than zero."
        )


class ModelNotFound(GatewayError):
    """The model does not exist or is not active here."""

    code = "model_not_found"

    def __init__(self, model: str, param: str = "model") -> None:
        super().__init__(f"The model '{model[:100]}' does not exist or is not active here. GET /v1/models lists all.")
        self.model = model
        self.param = param


class NotFound(GatewayError):
    """There is no such object in this account."""

    code = "not_found"


class RequestInvalid(GatewayError):
    """The request is not valid. `param` names the field and `code` the kind of fault."""

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class LinkUnusable(RequestInvalid):
    """A one-time link that was used, has expired, or never was: the same for each."""

    def __init__(self) -> None:
        super().__init__("This link does not work, or not any more. Ask for a new one.", param="token")


class ContextLengthExceeded(RequestInvalid):
    """The input does not fit into the model's context window."""

    def __init__(self, message: str = "The input exceeds the context window of this model.") -> None:
        super().__init__(message, param="messages", code="context_length_exceeded")


class RequestTooLarge(GatewayError):
    """The request body is larger than this server accepts."""

    code = "request_too_large"

    def __init__(self, message: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class StorageFull(GatewayError):
    """The files of this account would take more space than it has."""

    code = "request_too_large"


class RateLimited(GatewayError):
    """Too many requests."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str = "", *, retry_after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KeyReused(GatewayError):
    """This id was used before for a different request."""

    code = "idempotency_conflict"


class AlreadyRunning(GatewayError):
    """A request with this Idempotency-Key is still running. Ask again in a moment."""

    code = "idempotency_in_flight"


class ReplayGone(GatewayError):
    """This request was answered before under this Idempotency-Key; that answer cannot be given again."""

    code = "idempotency_conflict"


class EndedByPurge(GatewayError):
    """A purge of this account has ended this call. What was delivered is charged; send the call again to go on."""

    code = "purge_in_progress"


class HoldVoided(GatewayError):
    """The credits held for this work were released before it could go on."""

    code = "internal_error"


class HoldClosed(GatewayError):
    """The credits held for this work were already settled."""

    code = "internal_error"


class UpstreamError(GatewayError):
    """The provider failed to answer this call. Nothing that was not delivered is charged; try again."""

    code = "upstream_error"
    retryable = True
    status: int | None = None
    """The HTTP status of the provider's answer. None: it gave none, or is not known to have."""
    not_accepted = False
    """Whether it is certain that the provider did not take the work on, so that it may be submitted again."""
    unreached = False
    """Whether no connection was made: nothing of the request was sent, so that it cannot be to blame."""
    blames_key = False
    """Whether our key, or our account there, is at fault: a 403 says so, or it gets no access token."""

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AdapterFault(UpstreamError):
    """The provider's answer could not be used. Nothing that was not delivered is charged; try again."""


class UpstreamTimeout(UpstreamError):
    """The provider did not answer in time. Nothing that was not delivered is charged; try again."""

    code = "upstream_timeout"


class RetentionDenied(UpstreamError):
    """The provider does not keep its promise to store nothing. The call has ended; it costs nothing."""

    retryable = False
    not_accepted = True
    """As a rule it is noticed before anything is sent. False where only the provider's answer says so."""


class UpstreamBusy(UpstreamError):
    """The provider is at its limit. Try again later."""

    code = "rate_limit_exceeded"


class UpstreamRefused(UpstreamError):
    """The provider refused this input. Change it, or choose another model."""

    code = "invalid_value"
    retryable = False


class UpstreamGone(UpstreamError):
    """The provider no longer has this job, or no file of it that this server can get."""

    retryable = False


class OutputTooLarge(UpstreamError):
    """What the provider made is larger than this server stores."""

    retryable = False


class JobFailed(GatewayError):
    """The job that was to make this answer has failed. Its credits were given back."""

    code = "upstream_error"

    def __init__(self, message: str = "", *, code: str = code, job_id: UUID | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.job_id = job_id


class ContentPolicyViolation(UpstreamRefused):
    """The provider's content policy does not allow this input, or what would be made of it. Change the input."""

    code = "content_policy_violation"


class LinkInvalid(GatewayError):
    """This link is not valid, or no longer. Ask the job for a new one: GET /api/media/jobs/<uuid>/."""

    code = "invalid_value"


class ServiceUnavailable(GatewayError):
    """A part of this server is away for the moment. Nothing was charged; try again."""

    code = "service_unavailable"

    def __init__(self, message: str = "", *, reported: bool = False) -> None:
        super().__init__(message)
        self.reported = reported


class AmountTooLarge(GatewayError):
    """The amount is larger than a ledger account can hold."""

    code = "invalid_value"


def where(error: BaseException) -> str:
    """The kind of an error and the line that raised it: all that may be logged of an unexpected one."""
    frame = traceback.extract_tb(error.__traceback__, limit=-1)
    line = f" at {frame[0].filename.rpartition('/')[2]}:{frame[0].lineno}" if frame else ""
    state = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    return f"{type(error).__name__}{line}" + (f" sqlstate {state}" if state else "")

"""The one table of errors: what each is in HTTP, which field it names, whether to ask again, and what to do.

`api/errors.py` answers by it, and docs/errors.md is made from it: `.venv/bin/yout openapi --errors > docs/errors.md`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain import errors
from domain.errors import GatewayError


class Repeat(StrEnum):
    """Whether the same request may succeed later."""

    NO = "no"
    LATER = "yes, after `retry-after`"
    AT_ONCE = "yes"
    SHOULD = "as `x-should-retry` says"


@dataclass(frozen=True, slots=True)
class Row:
    status: int
    remedy: str
    """What a caller can do about it."""
    repeat: Repeat = Repeat.NO
    param: str = ""
    """The field that the error names, or which one that is. Empty: none."""


_FIELD = "the field at fault"
_INTERNAL = "Tell the operator the request id. What was not delivered is not charged."
_KEY = "Send an active key of your account as `Authorization: Bearer <key>`."
_AGAIN = "Send the request again. What was not delivered is not charged."
_SOON = "Wait as long as `retry-after` says, and send the request again."
_OTHER_KEY = "Use a key that may do this, or let its owner change it."
TABLE: Mapping[type[GatewayError], Row] = {
    GatewayError: Row(500, _INTERNAL, Repeat.AT_ONCE),
    errors.CallerUnknown: Row(401, _KEY),
    errors.SignInRequired: Row(401, "Sign in, or send a key of your account."),
    errors.ScopeMissing: Row(403, "Create a key that has the scope which the message names."),
    errors.AuthorityExceeded: Row(403, _OTHER_KEY, param=_FIELD),
    errors.ProRequired: Row(403, "Start a plan, or call another model: `pro_only` of `GET /v1/models` is false."),
    errors.AccountSuspended: Row(403, "Write to the operator of this server."),
    errors.SignInFailed: Row(401, "Check the address and the password, or reset the password."),
    errors.CrossSite: Row(403, "Call with an API key, or from a page of this server."),
    errors.InsufficientCredits: Row(
        402,
        "Add credits, raise the limit that `limit_source` names, or ask for less output. Where there is `resets_at`, "
        "it may pass from then on.",
        Repeat.SHOULD,
    ),
    errors.AllowanceUsedUp: Row(402, "Sign in, or come back at `resets_at`."),
    errors.BelowZero: Row(402, "Take no more than the account has."),
    errors.ModelNotFound: Row(404, "Choose an id of `GET /v1/models`.", param="`model`"),
    errors.NotFound: Row(404, "Check the id. An id of another account is not found either."),
    errors.RequestInvalid: Row(400, "Correct the field that `param` and the message name.", param=_FIELD),
    errors.LinkUnusable: Row(400, "Ask for a new link.", param="`token`"),
    errors.ContextLengthExceeded: Row(
        400, "Shorten the input, begin anew, or choose a model that reads more.", param="the input"
    ),
    errors.RequestTooLarge: Row(413, "Send less. Files can go as a link instead.", param=f"{_FIELD}, if it is one"),
    errors.StorageFull: Row(
        413, "Delete uploads (`DELETE /api/media/uploads/<id>/`) or outputs, or wait until some have expired."
    ),
    errors.RateLimited: Row(429, _SOON, Repeat.LATER),
    errors.KeyReused: Row(422, "Send another `Idempotency-Key` with another request."),
    errors.AlreadyRunning: Row(409, _SOON, Repeat.LATER),
    errors.ReplayGone: Row(422, "The message names the charge. Send another `Idempotency-Key` for a new answer."),
    errors.EndedByPurge: Row(409, _SOON, Repeat.LATER),
    errors.HoldVoided: Row(503, _SOON, Repeat.LATER),
    errors.HoldClosed: Row(503, _SOON, Repeat.LATER),
    errors.UpstreamError: Row(502, _AGAIN, Repeat.AT_ONCE),
    errors.UpstreamTimeout: Row(504, f"{_AGAIN} Ask for less output if it happens again.", Repeat.AT_ONCE),
    errors.AdapterFault: Row(502, _INTERNAL, Repeat.AT_ONCE),
    errors.RetentionDenied: Row(
        502, "The operator sees it in the log. Other routes answer the next call, if any do.", Repeat.AT_ONCE
    ),
    errors.UpstreamBusy: Row(429, _SOON, Repeat.LATER),
    errors.UpstreamRefused: Row(400, "Change the input: this provider does not take it."),
    errors.ServiceUnavailable: Row(503, _SOON, Repeat.LATER),
    errors.AmountTooLarge: Row(400, "Ask for less."),
    errors.UpstreamGone: Row(502, "Order it again."),
    errors.OutputTooLarge: Row(502, "Ask for a smaller output."),
    errors.JobFailed: Row(502, "Send it again for a new job, with another `Idempotency-Key` if it had one."),
    errors.ContentPolicyViolation: Row(400, "Change the input: its content is not allowed there."),
    errors.LinkInvalid: Row(403, "Ask the job for a new link: `GET /api/media/jobs/<uuid>/`."),
}
"""A test asserts that every subclass of `GatewayError` is here."""

OF_JOBS: frozenset[type[GatewayError]] = frozenset({errors.UpstreamRefused, errors.UpstreamGone, errors.OutputTooLarge})
"""What a media job may end with, and no request is answered with."""

IN_STREAMS: frozenset[type[GatewayError]] = frozenset(
    {
        GatewayError,
        errors.CallerUnknown,
        errors.EndedByPurge,
        errors.HoldClosed,
        errors.UpstreamError,
        errors.UpstreamTimeout,
        errors.ServiceUnavailable,
    }
)
"""What a stream may end with after its first output."""

_OF_A_REQUEST: Mapping[str, str] = {
    "invalid_json": "The body is not JSON in UTF-8, or a header says that it is something else.",
    "missing_required_parameter": "A field that the endpoint needs is missing.",
    "invalid_type": "A field has a value of another type.",
    "invalid_value": "A field has a value that is not allowed.",
    "unsupported_parameter": "A field is not taken here: unknown, without a price, or not kept by any route.",
}
"""The codes of `RequestInvalid`, and when each is given."""
CODES = frozenset({kind.code for kind in TABLE} - {errors.NotFound.code} | {"context_length_exceeded", *_OF_A_REQUEST})
"""All error codes. The answer for an unknown path, or for an object that is not there, has none."""
_CONTEXT = "context_length_exceeded"


def openai_type(status: int) -> str:
    """Return the `type` of OpenAI's envelope."""
    match status:
        case 402:
            return "insufficient_quota"
        case 429:
            return "requests"
    return "server_error" if status >= 500 else "invalid_request_error"


def codes_of(kind: type[GatewayError]) -> Iterator[tuple[str | None, str]]:
    """Yield the codes that an error of this kind may have, each with when it is given."""
    when = (kind.__doc__ or "").split("\n")[0]
    if kind is errors.RequestInvalid:
        yield from _OF_A_REQUEST.items()
    elif kind is errors.ContextLengthExceeded:
        yield _CONTEXT, when
    elif kind is errors.LinkUnusable:
        yield "invalid_value", when
    elif kind is GatewayError:
        yield kind.code, "Something went wrong here."
    else:
        yield None if kind is errors.NotFound else kind.code, when

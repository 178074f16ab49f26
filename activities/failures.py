"""What an activity raises: a code, our own sentence, whether another attempt is of use. Never anybody else's text."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.errors import (
    ContentPolicyViolation,
    GatewayError,
    ServiceUnavailable,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    where,
)
from domain.media import INTERNAL_ERROR

JOB_ENDED = "job_ended"
WORKER_STOPPING = "worker_stopping"
STILL_RUNNING = "still_running"
INTERNAL, INTERNAL_SENTENCE = INTERNAL_ERROR.code, INTERNAL_ERROR.message
PUBLIC = frozenset(
    {
        *(INTERNAL, "upstream_error", "upstream_timeout", "rate_limit_exceeded", "invalid_value"),
        ContentPolicyViolation.code,
    }
)
"""The codes that a job's error may have."""

_EXPECTED = ApplicationErrorCategory.BENIGN
"""Told in one line of our own: the SDK then writes no stack trace, and counts no fault of this program."""

_MIN_BUSY_PAUSE, _BUSY_PAUSE, _MAX_BUSY_PAUSE = timedelta(seconds=1), timedelta(seconds=5), timedelta(minutes=2)
_AT_PROVIDER = {
    UpstreamError.code: UpstreamError(),
    UpstreamTimeout.code: UpstreamTimeout(),
    UpstreamBusy.code: UpstreamBusy(),
    "invalid_value": UpstreamRefused(),
    ContentPolicyViolation.code: ContentPolicyViolation(),
}

log = logging.getLogger(__name__)


@contextmanager
def translated(*, give_up_after: int | None = None, retried: bool = False) -> Iterator[None]:
    """Turn what the block raises into an `ApplicationError` with a code. Outside of an activity nothing is turned.

    A provider that keeps failing is given up after that many attempts; one that says it is busy never is. What is
    `retried` is so whatever happens.
    """
    if not activity.in_activity():
        yield
        return
    try:
        yield
    except ApplicationError:
        raise
    except GatewayError as error:
        info = activity.info()
        if not error.reported:
            level = logging.INFO if isinstance(error, UpstreamRefused) else logging.WARNING  # what its caller sent
            log.log(level, "%s in activity %s, attempt %d", where(error), info.activity_type, info.attempt)
        raise _translation(error, give_up_after, retried=retried) from None
    except Exception as error:
        log.error("%s in activity %s", where(error), activity.info().activity_type)  # its text may be a user's
        raise ApplicationError(INTERNAL_SENTENCE, type=INTERNAL) from None


def _translation(error: GatewayError, give_up_after: int | None, *, retried: bool) -> ApplicationError:
    delay, final = None, not retried
    if isinstance(error, UpstreamBusy):
        pause = _BUSY_PAUSE if error.retry_after is None else error.retry_after
        delay, final = min(max(pause, _MIN_BUSY_PAUSE), _MAX_BUSY_PAUSE), False
    elif isinstance(error, UpstreamError):
        delay = error.retry_after and min(error.retry_after, _MAX_BUSY_PAUSE)
        final = not error.retryable or (give_up_after is not None and activity.info().attempt >= give_up_after)
    elif isinstance(error, ServiceUnavailable):
        final = False
    return ApplicationError(
        error.message, type=error.code, non_retryable=final, next_retry_delay=delay, category=_EXPECTED
    )


def job_ended() -> ApplicationError:
    """The job has already ended elsewhere. The workflow stops."""
    return _final("This job has already ended.", JOB_ENDED)


def submission_in_doubt() -> ApplicationError:
    """An earlier attempt may have been accepted and the provider cannot tell: never pay for two."""
    return _final("The provider did not answer when this job was handed to it.", UpstreamError.code)


def at_provider(code: str | None) -> ApplicationError:
    """The work failed at the provider. `code` is one of our own; anything else counts as the provider's failure."""
    known = code if code in _AT_PROVIDER else UpstreamError.code
    return _final(_AT_PROVIDER[known].message, known)


def unusable_output() -> ApplicationError:
    return _final("The provider made no file that this server can keep.", UpstreamError.code)


def worker_stopping() -> ApplicationError:
    """This worker stops. Temporal retries the activity on another worker at once."""
    return ApplicationError(
        "This worker is stopping.", type=WORKER_STOPPING, next_retry_delay=_MIN_BUSY_PAUSE, category=_EXPECTED
    )


def still_running(pause: timedelta) -> ApplicationError:
    """There is no news of the work. Temporal retries after the pause, which takes neither slot nor event."""
    return ApplicationError(
        "The provider still works on it.", type=STILL_RUNNING, next_retry_delay=pause, category=_EXPECTED
    )


def _final(message: str, code: str) -> ApplicationError:
    return ApplicationError(message, type=code, non_retryable=True, category=_EXPECTED)

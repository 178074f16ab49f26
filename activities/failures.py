"""What an activity raises: a code, our own sentence, whether another attempt is of use. Never anybody else's text."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.errors import (
    AdapterFault,
    ContentPolicyViolation,
    GatewayError,
    ServiceUnavailable,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    where,
)
from domain.media import INTERNAL_ERROR, PROVIDER_FAILED, TOO_LATE

JOB_ENDED = "job_ended"
WORKER_STOPPING = "worker_stopping"
STILL_RUNNING = "still_running"

_EXPECTED = ApplicationErrorCategory.BENIGN
"""Told in one line of our own: the SDK then writes no stack trace, and counts no fault of this program."""

_MIN_BUSY_PAUSE, _BUSY_PAUSE, _MAX_BUSY_PAUSE = timedelta(seconds=1), timedelta(seconds=5), timedelta(minutes=2)
_AT_PROVIDER = {
    error.code: error
    for error in (UpstreamError(), UpstreamTimeout(), UpstreamBusy(), UpstreamRefused(), ContentPolicyViolation())
}
PUBLIC = frozenset({*_AT_PROVIDER, INTERNAL_ERROR.code})
"""The codes that a job's error may have."""
_OF_JOBS = {
    UpstreamError().message: PROVIDER_FAILED.message,
    AdapterFault().message: PROVIDER_FAILED.message,
    UpstreamTimeout().message: TOO_LATE.message,
}
"""In place of sentences about a call, which can be sent again: the same request would find its failed job again."""

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
        raise ApplicationError(INTERNAL_ERROR.message, type=INTERNAL_ERROR.code) from None


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
        _of_a_job(error), type=error.code, non_retryable=final, next_retry_delay=delay, category=_EXPECTED
    )


def _of_a_job(error: GatewayError) -> str:
    return _OF_JOBS.get(error.message, error.message)


def job_ended() -> ApplicationError:
    """The job has already ended elsewhere. The workflow stops."""
    return _final("This job has already ended.", JOB_ENDED)


def submission_in_doubt() -> ApplicationError:
    """An earlier attempt may have been accepted and the provider cannot tell: never pay for two."""
    return _final("The provider did not answer when this job was handed to it.", UpstreamError.code)


def at_provider(code: str | None) -> ApplicationError:
    """The work failed at the provider. `code` is one of our own; anything else counts as the provider's failure."""
    known = code if code in _AT_PROVIDER else UpstreamError.code
    return _final(_of_a_job(_AT_PROVIDER[known]), known)


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

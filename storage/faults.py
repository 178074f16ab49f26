"""What is wrong at the object store, for its operator. The store's own messages contain paths, hosts and keys."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from domain.errors import ServiceUnavailable
from domain.faults import FaultLog

SETTING = "YOUT_STORAGE_URL"
FOLDER = (
    "the folder of outputs cannot be used",
    "see that its disk is mounted and has room, and that this user may write there",
)
DENIED = (
    "the object store denies our key",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may read, write, list and delete in this bucket, "
    "and AWS_REGION to the bucket's",
)
NO_BUCKET = ("the bucket of outputs does not exist", "make it, or name another one")
UNAVAILABLE = (
    "the object store does not answer",
    "see that it runs, and that AWS_ENDPOINT and AWS_REGION are its own; what waits for it is tried again",
)
FAILING = (
    "the object store answers with errors",
    "see its log, and whether its disks have room; what waits for it is tried again",
)
FULL = (
    "the object store has no room for more",
    "make room there, or raise its quota; what waits for it is tried again",
)
CLOCK = (
    "the object store's clock and this machine's differ",
    "let both machines follow a time server (chrony, systemd-timesyncd): signatures of requests have the time",
)
_STATUS = re.compile(r"non-2xx status code: ([0-9]{3})")
_BUCKET_CODE = "<Code>NoSuchBucket</Code>"
_DENYING = ("401", "403")
_NO_ROOM = "507"
_CODES = {
    _BUCKET_CODE: NO_BUCKET,
    "<Code>RequestTimeTooSkewed</Code>": CLOCK,
    "<Code>XMinioStorageFull</Code>": FULL,
    "<Code>QuotaExceeded</Code>": FULL,
}
"""Of S3 and of others that speak it. They say more than the status."""
_DENIED_CODE = "AccessDenied"
"""In the answer to a deletion of several objects, whose status is 200."""


class StoreFaults:
    """Turns the store's errors into `ServiceUnavailable`, and tells the operator why, once for each kind of request."""

    def __init__(self, log: FaultLog | None, *, folder: bool) -> None:
        self._log = log
        self._folder = folder
        self._lasting: set[str] = set()

    @contextmanager
    def watched(self, act: str) -> Iterator[None]:
        """`act` is what is done: "write", "read", "list" or "delete". A missing object is not a fault."""
        try:
            yield
        except FileNotFoundError as error:
            if act != "write" and _BUCKET_CODE not in str(error):
                self._mended(act)
                raise
            self._report(act, NO_BUCKET)
            raise ServiceUnavailable(reported=self._log is not None) from None
        except (BaseError, OSError) as error:
            self._report(act, _cause(error))
            raise ServiceUnavailable(reported=self._log is not None) from None
        self._mended(act)

    def _mended(self, act: str) -> None:
        if self._log and act in self._lasting:
            self._lasting.discard(act)
            self._log.clear(_where(act))

    def _report(self, act: str, cause: tuple[str, str]) -> None:
        what, remedy = FOLDER if self._folder else cause
        if self._log:
            self._lasting.add(act)
            self._log.report(what, where=_where(act), remedy=remedy)


def _where(act: str) -> str:
    return f"{SETTING} ({act})"


def _cause(error: Exception) -> tuple[str, str]:
    text = str(error)
    for code, cause in _CODES.items():
        if code in text:
            return cause
    status = _STATUS.search(text)
    if status is not None and status[1] == _NO_ROOM:
        return FULL
    if status is not None and status[1] >= "500":
        return FAILING
    denied = _DENIED_CODE in text or (status is not None and status[1] in _DENYING)
    return DENIED if denied or isinstance(error, (PermissionDeniedError, UnauthenticatedError)) else UNAVAILABLE

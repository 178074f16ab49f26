"""What is wrong at an object store, by what its client raises: the operator does something else for each."""

import pytest
from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError

from domain.errors import ServiceUnavailable
from storage import faults
from storage.faults import StoreFaults
from tests.support.fault_lines import FaultLines

ANSWER = "Server returned non-2xx status code: {}: <Error><Code>{}</Code></Error>"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (PermissionDeniedError(ANSWER.format("403 Forbidden", "AccessDenied")), faults.DENIED),
        (UnauthenticatedError(ANSWER.format("401 Unauthorized", "InvalidAccessKeyId")), faults.DENIED),
        (GenericError(ANSWER.format("403 Forbidden", "SignatureDoesNotMatch")), faults.DENIED),
        (PermissionDeniedError(ANSWER.format("403 Forbidden", "RequestTimeTooSkewed")), faults.CLOCK),
        (PermissionDeniedError(ANSWER.format("403 Forbidden", "QuotaExceeded")), faults.FULL),
        (GenericError(ANSWER.format("507 Insufficient Storage", "XMinioStorageFull")), faults.FULL),
        (GenericError(ANSWER.format("507 Insufficient Storage", "Other")), faults.FULL),
        (GenericError(ANSWER.format("404 Not Found", "NoSuchBucket")), faults.NO_BUCKET),
        (GenericError(ANSWER.format("500 Internal Server Error", "InternalError")), faults.FAILING),
        (GenericError(ANSWER.format("503 Service Unavailable", "SlowDown")), faults.FAILING),
        (GenericError("error sending request"), faults.UNAVAILABLE),
    ],
)
def test_each_answer_has_its_own_remedy(error: BaseError, cause: tuple[str, str]) -> None:
    lines = FaultLines()
    with pytest.raises(ServiceUnavailable), StoreFaults(lines, folder=False).watched("write"):
        raise error
    assert lines.lines == [f"YOUT_STORAGE_URL (write): {cause[0]}"]

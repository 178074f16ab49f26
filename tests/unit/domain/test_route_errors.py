from datetime import timedelta

import pytest

from domain.errors import GatewayError, UpstreamBusy, UpstreamError, UpstreamRefused, UpstreamTimeout
from domain.route_errors import shown


def answered(status: int, error: UpstreamError) -> UpstreamError:
    error.status = status
    return error


SOON, LATE = (answered(429, UpstreamBusy(retry_after=timedelta(seconds=seconds))) for seconds in (2, 40))
FULL = UpstreamBusy()
OVERLOADED = answered(503, UpstreamError(retry_after=timedelta(seconds=9)))
BROKEN = answered(500, UpstreamError())
NO_CREDITS = answered(402, UpstreamError(retry_after=timedelta(seconds=1)))
SLOW, REFUSED = UpstreamTimeout(), answered(400, UpstreamRefused())


@pytest.mark.parametrize(
    ("errors", "error"),
    [
        ([BROKEN], BROKEN),
        ([BROKEN, SLOW], SLOW),
        ([LATE, BROKEN], LATE),
        ([BROKEN, LATE], LATE),
        ([LATE, SOON, BROKEN], SOON),
        ([SOON, LATE], SOON),
        ([FULL, LATE, SLOW], FULL),
        ([OVERLOADED, BROKEN], OVERLOADED),
        ([OVERLOADED, LATE], OVERLOADED),
        ([NO_CREDITS, BROKEN], BROKEN),
        ([LATE, REFUSED], REFUSED),
    ],
)
def test_a_route_that_may_work_soon_counts_before_a_broken_one(errors: list[GatewayError], error: GatewayError) -> None:
    assert shown(errors) is error

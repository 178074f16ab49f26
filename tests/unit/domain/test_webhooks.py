"""When a receiver is asked again: nothing that it answers can keep the attempt from being recorded."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.webhooks import MAX_RETRY_AFTER, Answer, pause, retry_after

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LONG = "9" * 30


@pytest.mark.parametrize(
    "written",
    [
        f"Mon, 01 Jan {LONG} 00:00:00 GMT",
        f"Mon, {LONG} Jan 2026 00:00:00 GMT",
        f"Mon, 01 Jan 2026 {LONG}:00:00 GMT",
        f"Mon, 01 Jan 2026 00:00:00 +{LONG}",
        *("", " ", ",", "soon", "-1", "1.5", "\u00b2", "Mon, 99 Jan 2026 00:00:00 GMT"),
    ],
)
def test_a_time_that_is_none_changes_no_pause(written: str) -> None:
    assert retry_after(written, NOW) is None
    busy = Answer(503, retry_after=written)
    assert pause(1, 0.5, busy, NOW) == pause(1, 0.5, Answer(503), NOW)


@pytest.mark.parametrize(
    ("written", "wish"),
    [
        ("120", timedelta(minutes=2)),
        ("Mon, 30 Nov 2026 12:10:00 GMT", timedelta(minutes=10)),
        ("Mon, 30 Nov 2026 11:00:00 -0000", timedelta(0)),
        (LONG, MAX_RETRY_AFTER),
    ],
)
def test_seconds_and_dates_are_read(written: str, wish: timedelta) -> None:
    assert retry_after(written, NOW) == wish

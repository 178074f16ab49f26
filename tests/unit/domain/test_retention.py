"""How long things are kept: what may be set, and where the horizon lies."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from domain.retention import Retention, horizon
from settings import Settings
from tests.support.stack import SECRET


def settings(**given: Any) -> Settings:
    return Settings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"), secret_key=SecretStr(SECRET), **given
    )


def test_what_is_kept_unless_something_else_is_said() -> None:
    defaults = settings()
    assert defaults.retention == Retention(timedelta(days=90), timedelta(days=400), timedelta(days=90))
    assert defaults.idempotency_lifetime == timedelta(days=1)


def test_zero_days_are_for_ever() -> None:
    assert settings(hold_retention="0", usage_retention=0, audit_retention="0").retention == Retention(None, None, None)


def test_days_may_be_in_parts() -> None:
    assert settings(hold_retention="2.5").retention.holds == timedelta(hours=60)


@pytest.mark.parametrize("name", ["hold_retention", "usage_retention", "audit_retention"])
@pytest.mark.parametrize("days", ["1.9", "-3"])
def test_too_short_a_time_is_refused(name: str, days: str) -> None:
    with pytest.raises(ValidationError, match="at least 2 days"):
        settings(**{name: days})


def test_a_hold_outlasts_the_idempotency_key_that_names_it() -> None:
    week = timedelta(days=7).total_seconds()
    assert settings(hold_retention="8", idempotency_lifetime=week).retention.holds == timedelta(days=8)
    assert settings(hold_retention="0", idempotency_lifetime=week).retention.holds is None
    with pytest.raises(ValidationError, match="a replay needs its hold"):
        settings(hold_retention="7.5", idempotency_lifetime=week)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-11))])
def test_days_go_as_a_whole(zone: timezone) -> None:
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC).astimezone(zone)
    assert horizon(noon, timedelta(days=2)) == datetime(2026, 3, 8, tzinfo=UTC)
    assert horizon(noon, timedelta(days=2, hours=13)) == datetime(2026, 3, 7, tzinfo=UTC)

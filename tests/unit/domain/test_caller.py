"""Three credentials: what each has left, who pays for it, and whether its answers are kept."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.caller import ApiKey, Caller, Credential, Payer, Visitor, WebSession
from domain.limits import Limits, Used
from domain.secrets import DerivedKeys
from gateway.idempotency import IdempotentRequests
from tests.support.ledger.cases import ANN

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TODAY = Used(requests_tat=NOW + timedelta(seconds=30), day=NOW.date(), day_credits=40, month=NOW.date().replace(day=1))
KEY = ApiKey(key_id=UUID(int=9), digest=b"d", token="yout-secret", limits=Limits(60, credits_day=100), used=TODAY)
SESSION = WebSession(session_id=UUID(int=8), user_id=UUID(int=6))
VISITOR = Visitor(visitor_id=UUID(int=7), network="192.0.2.7", limits=Limits(requests=10, concurrent=4), used=TODAY)
CEILING = Limits(requests=600)


@pytest.mark.parametrize(
    ("credential", "requests", "budget"),
    [(KEY, (60, 30), 60), (SESSION, (600, 600), None), (VISITOR, (10, 5), None)],
)
def test_what_is_left(credential: Credential, requests: tuple[int, int], budget: int | None) -> None:
    left, tokens = Caller(ANN, frozenset(), credential).rates_left(CEILING, NOW)
    assert left is not None
    assert ((left.limit, left.remaining), tokens) == (requests, None)
    assert credential.budget_left(CEILING, NOW) == budget


@pytest.mark.parametrize(
    ("credential", "payer"),
    [
        (KEY, Payer(b"d", ANN)),
        (SESSION, Payer(account_id=ANN)),
        (VISITOR, Payer(account_id=ANN)),
    ],
)
def test_who_pays(credential: Credential, payer: Payer) -> None:
    assert Caller(ANN, frozenset(), credential).payer(CEILING, NOW) == payer


def test_visitors_have_the_limits_of_their_own_account() -> None:
    ceiling = Limits(requests=5, tokens=1000, concurrent=100)
    assert Caller(ANN, frozenset(), VISITOR).ceiling(ceiling) == Limits(requests=5, tokens=1000, concurrent=4)
    assert Caller(ANN, frozenset(), SESSION).ceiling(ceiling) == ceiling
    assert "192.0.2" not in repr(VISITOR)


def test_only_a_key_is_a_key() -> None:
    assert [Caller(ANN, frozenset(), credential).key for credential in (KEY, SESSION, VISITOR)] == [KEY, None, None]


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(Caller(ANN, frozenset(), KEY)).replace("secrets", "")


@pytest.mark.parametrize(("credential", "sealable"), [(KEY, True), (SESSION, False), (VISITOR, False)])
def test_an_answer_is_kept_for_whom_it_can_be_sealed(credential: Credential, sealable: bool) -> None:
    requests = IdempotentRequests(DerivedKeys(b"k" * 32))
    request = requests.explicit("media", "k", {}, credential.replay_secret)
    sealed = request.sealed(b"{}")
    assert (sealed is not None) == sealable
    other = requests.explicit("media", "k", {}, KEY.replay_secret).sealed(b"{}")
    assert other is not None
    assert (request.opened(other) is not None) == (credential is KEY)

import pytest

from api import idempotency
from domain.errors import RequestInvalid
from domain.secrets import DerivedKeys
from gateway.idempotency import MAX_REPLAY_BYTES, IdempotentRequests

CLAIMS = IdempotentRequests(DerivedKeys(b"s" * 32))
BODY = {"model": "m", "messages": []}


@pytest.mark.parametrize(("sent", "key"), [(b"abc", "abc"), (b' "abc" ', "abc"), (b'"', '"'), (b"x" * 255, "x" * 255)])
def test_bare_and_quoted_forms_are_one_key(sent: bytes, key: str) -> None:
    assert idempotency.key_of({b"idempotency-key": sent}) == key


@pytest.mark.parametrize("sent", [b"", b"\xe9", b"x" * 256, b"a\x7fb", b'""'])
def test_other_forms_are_refused(sent: bytes) -> None:
    with pytest.raises(RequestInvalid):
        idempotency.key_of({b"idempotency-key": sent})


def test_without_the_header_there_is_no_key() -> None:
    assert idempotency.key_of({b"x-request-id": b"abc"}) is None


def test_an_answer_opens_with_the_same_token_and_key_alone() -> None:
    ours = CLAIMS.explicit("chat", "k", BODY, "token")
    sealed = ours.sealed(b'{"content": "secret"}')
    assert sealed is not None
    assert b"secret" not in sealed
    assert ours.opened(sealed) == {"content": "secret"}
    assert CLAIMS.explicit("chat", "k", BODY, "other").opened(sealed) is None
    assert CLAIMS.explicit("chat", "j", BODY, "token").opened(sealed) is None
    assert "token" not in repr(ours)


def test_a_large_answer_is_not_kept() -> None:
    assert CLAIMS.explicit("chat", "k", BODY, "token").sealed(b"x" * MAX_REPLAY_BYTES + b"x") is None


def test_claims_tell_requests_apart_and_spellings_not() -> None:
    def explicit(endpoint: str, key: str, body: dict[str, object]) -> tuple[bytes, bytes]:
        claim = CLAIMS.explicit(endpoint, key, body, "token").claim
        return claim.scope, claim.fingerprint

    same = explicit("chat", "k", {"a": 1, "b": 2})
    assert explicit("chat", "k", {"b": 2, "a": 1}) == same
    assert explicit("chat", "k", {"a": 1, "b": 3})[0] == same[0]
    assert explicit("chat", "k", {"a": 1, "b": 3})[1] != same[1]
    assert explicit("media", "k", {"a": 1, "b": 2})[0] != same[0]
    assert (
        IdempotentRequests(DerivedKeys(b"t" * 32)).explicit("chat", "k", {"a": 1, "b": 2}, "token").claim.scope
        != same[0]
    )


@pytest.mark.parametrize(("count", "retry"), [(b"0", False), (b"1", True), (b"x", False), (b"", False)])
def test_a_stock_sdk_says_when_it_tries_again(count: bytes, retry: bool) -> None:
    assert idempotency.is_retry({b"x-stainless-retry-count": count}) is retry
    assert idempotency.is_retry({}) is False
    twice = [(b"x-stainless-retry-count", b"1"), (b"x-stainless-retry-count", b"0")]
    assert idempotency.is_retry(idempotency.named(twice)) is True

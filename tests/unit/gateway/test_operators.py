"""Who may read what is encrypted for Temporal."""

from secrets import token_hex

import pytest

from domain.errors import CallerUnknown
from gateway.operators import Operators
from settings import Settings
from tests.support.stack import SECRET

OLD, NEW, BOBS = (token_hex(32) for _ in range(3))


def operators(tokens: str) -> Operators:
    given = {"database_url": "postgresql://nowhere@127.0.0.1:1/none", "secret_key": SECRET, "codec_tokens": tokens}
    return Operators(Settings(**given).codec_operators)  # type: ignore[arg-type]


def test_a_token_is_rotated_under_its_name() -> None:
    """First both are valid, then the new one alone."""
    during = operators(f"alice:{OLD},bob:{BOBS},alice:{NEW}")
    assert [during.named(token) for token in (OLD, NEW, BOBS)] == ["alice", "alice", "bob"]
    after = operators(f"bob:{BOBS},alice:{NEW}")
    assert after.named(NEW) == "alice"
    with pytest.raises(CallerUnknown):
        after.named(OLD)


def test_without_tokens_there_is_no_operator() -> None:
    assert not operators("")

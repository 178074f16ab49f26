"""A hold does not grow for a key that was revoked, nor for an account that was suspended, meanwhile."""

from uuid import UUID

import pytest

from domain.errors import GatewayError
from domain.ledger import Extend
from tests.unit.ledger_cases import ANN, KEY, reserve, run, state


@pytest.mark.parametrize("what", ["key", "account"])
def test_no_more_is_held_for_whom_nothing_would_be_held_now(what: str) -> None:
    known = state()
    run(known, reserve())
    known.keys[KEY].dead = what == "key"
    known.accounts[ANN].suspended = what == "account"
    verdicts, _ = run(known, Extend(UUID(int=100), ANN, 200))
    assert isinstance(verdicts[0], GatewayError)

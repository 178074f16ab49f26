"""What other keys hold does not come back to a key whose budget is spent: it is not told to try again."""

from api import errors as table
from domain.errors import InsufficientCredits


def test_a_spent_key_budget_is_not_to_be_retried() -> None:
    assert table.headers(InsufficientCredits(100, 60, 1000, "key_budget")) == {"x-should-retry": "false"}

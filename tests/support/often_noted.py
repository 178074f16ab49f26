"""Balances that are noted after each few movements, so that a test has many of them."""

from collections.abc import Sequence

OFTEN: Sequence[bytes] = (
    b"DROP TRIGGER running_balance ON accounts",
    b"CREATE TRIGGER running_balance AFTER UPDATE ON accounts FOR EACH ROW"
    b" WHEN (NEW.movements / 3 > OLD.movements / 3) EXECUTE FUNCTION note_balance()",
)
"""Statements of the role that owns the tables."""

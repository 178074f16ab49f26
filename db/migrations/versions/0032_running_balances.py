"""Balances after one in 500 movements: a statement adds up what lies between, and not every movement since.

Movements from before have none. Their statements are read as before: from the next balance, or the present one, back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# `db/functions.sql` has the function: what is here stands in for it until that has run, in the same transaction.
FUNCTION = "CREATE FUNCTION note_balance() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
TRIGGER = """
CREATE TRIGGER running_balance AFTER UPDATE ON accounts FOR EACH ROW
WHEN (NEW.movements / 500 > OLD.movements / 500) EXECUTE FUNCTION note_balance()
"""


def upgrade() -> None:
    op.create_table(
        "running_balances",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sa.PrimaryKeyConstraint("account_id", "position"),
    )
    op.execute(FUNCTION)
    op.execute(TRIGGER)  # last: calls wait for its lock


def downgrade() -> None:
    op.execute("DROP TRIGGER running_balance ON accounts")
    op.execute("DROP FUNCTION note_balance")
    op.drop_table("running_balances")

"""The operator's ceiling per minute counts for an account as a whole, whatever number of keys it has."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What there was is as if it had been counted: a counter is never behind its calls.
COUNT = """
UPDATE accounts a SET requests_tat = h.at, tokens_tat = h.at
FROM (SELECT account_id, max(created_at) AS at FROM holds GROUP BY account_id) h WHERE h.account_id = a.id
""".strip()


def upgrade() -> None:
    op.add_column("accounts", sa.Column("requests_tat", sa.DateTime(timezone=True), nullable=True))
    op.add_column("accounts", sa.Column("tokens_tat", sa.DateTime(timezone=True), nullable=True))
    op.add_column("holds", sa.Column("account_tokens_limit", sa.BigInteger(), nullable=True))
    op.execute(COUNT)


def downgrade() -> None:
    op.drop_column("holds", "account_tokens_limit")
    op.drop_column("accounts", "tokens_tat")
    op.drop_column("accounts", "requests_tat")

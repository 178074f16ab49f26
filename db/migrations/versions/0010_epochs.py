"""What a call or job leaves has its account's epoch: a purge begins a new one, and erases what is older."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("holds", "usage", "usage_days", "idempotency", "media_jobs")
_DAYS = ["account_id", "day", "model", "key_id"]


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("epoch", sa.BigInteger(), server_default="1", nullable=False))
    op.drop_constraint("pk_usage_days", "usage_days")
    op.create_primary_key("pk_usage_days", "usage_days", [*_DAYS, "epoch"])


def downgrade() -> None:
    op.drop_constraint("pk_usage_days", "usage_days")
    op.create_primary_key("pk_usage_days", "usage_days", _DAYS)
    for table in reversed(TABLES):
        op.drop_column(table, "epoch")

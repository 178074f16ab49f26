"""How far what is kept for a time has been deleted, and what providers bill for calls."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pruned",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("horizon", sa.DateTime(timezone=True), nullable=False),
        sa.Column("swept", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("what IN ('holds', 'usage')", name=op.f("ck_pruned_what")),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_pruned")),
    )
    op.add_column("usage", sa.Column("provider", sa.Text(), nullable=True))
    op.add_column("usage", sa.Column("provider_cost", sa.Numeric(), nullable=True))
    op.add_column("usage_days", sa.Column("provider_cost", sa.Numeric(), server_default="0", nullable=False))
    op.add_column("usage_days", sa.Column("costed", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("media_jobs", sa.Column("provider_cost", sa.Numeric(), nullable=True))
    op.create_index(
        "ix_usage_written_off", "usage", ["created_at"], unique=False, postgresql_where=sa.text("written_off > 0")
    )
    op.create_index(
        "ix_transactions_refunds",
        "transactions",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("kind = 'refund'"),
    )


def downgrade() -> None:
    op.drop_index("ix_transactions_refunds", table_name="transactions")
    op.drop_index("ix_usage_written_off", table_name="usage")
    op.drop_column("media_jobs", "provider_cost")
    for column in ("costed", "provider_cost"):
        op.drop_column("usage_days", column)
    for column in ("provider_cost", "provider"):
        op.drop_column("usage", column)
    op.drop_table("pruned")

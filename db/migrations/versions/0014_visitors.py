"""Visitors: the key of each day, and what was sent in it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visitor_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_visitor_days")),
    )
    op.create_table(
        "visitor_counts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.CheckConstraint("used >= 0", name=op.f("ck_visitor_counts_used")),
        sa.ForeignKeyConstraint(
            ["day"], ["visitor_days.day"], name=op.f("fk_visitor_counts_day_visitor_days"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("day", "digest", name=op.f("pk_visitor_counts")),
        postgresql_with={"fillfactor": "70"},
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS rewrap_visitor_days")
    op.drop_table("visitor_counts")
    op.drop_table("visitor_days")

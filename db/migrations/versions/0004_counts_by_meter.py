"""Counts by meter: what a call used beyond tokens of text, and the service tier by whose prices it was billed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("usage", "usage_days"):
        op.add_column(table, sa.Column("meters", JSONB(), server_default="{}", nullable=False))
    op.add_column("usage", sa.Column("service_tier", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("DROP AGGREGATE IF EXISTS meters_total(jsonb)")
    op.execute("DROP FUNCTION IF EXISTS meters_sum(jsonb, jsonb)")
    op.drop_column("usage", "service_tier")
    for table in ("usage_days", "usage"):
        op.drop_column(table, "meters")

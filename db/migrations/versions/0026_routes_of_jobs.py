"""Jobs have several routes, wait for their provider's limits, and are charged for the outputs that were made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

COLUMNS = ("outputs_ordered", "provider_model", "routes", "slot_wanted_at")
INDEXES = {
    "ix_media_jobs_at_provider": "submit_intended_at IS NOT NULL",
    "ix_media_jobs_waiting": "submit_intended_at IS NULL AND slot_wanted_at IS NOT NULL",
}


def upgrade() -> None:
    one, none = sa.text("1"), sa.text("'[]'::jsonb")
    op.add_column("media_jobs", sa.Column("outputs_ordered", sa.SmallInteger(), server_default=one, nullable=False))
    op.add_column("media_jobs", sa.Column("provider_model", sa.Text(), nullable=True))
    op.add_column("media_jobs", sa.Column("routes", postgresql.JSONB(), server_default=none, nullable=False))
    op.add_column("media_jobs", sa.Column("slot_wanted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("outputs_ordered", "media_jobs", "outputs_ordered >= 1")
    for name, condition in INDEXES.items():
        where = sa.text(f"state = 'running' AND {condition}")
        op.create_index(name, "media_jobs", ["provider", "account_id"], postgresql_where=where)
    op.create_index("ix_media_jobs_sent", "media_jobs", ["provider", "submit_intended_at"])


def downgrade() -> None:
    op.drop_index("ix_media_jobs_sent", table_name="media_jobs")
    for name in INDEXES:
        op.drop_index(name, table_name="media_jobs")
    op.drop_constraint("outputs_ordered", "media_jobs", type_="check")
    for column in COLUMNS:
        op.drop_column("media_jobs", column)

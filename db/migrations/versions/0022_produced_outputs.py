"""Outputs that a provider gives with its answer to the submission are recorded with the provider's id."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

OWN = """
NOT jsonb_path_exists(produced, '$[*].object_key ? (!(@ starts with $folder))', jsonb_build_object(
    'folder', replace(account_id::text, '-', '') || '/' || replace(id::text, '-', '') || '/'))
""".strip()
LEFT = "outputs_deleted_at IS NULL AND state IN ('failed', 'cancelled') AND {at} IS NOT NULL"


def _index_leftovers(column: str) -> None:
    op.drop_index("ix_media_jobs_leftover", table_name="media_jobs")
    where = sa.text(LEFT.format(at=column))
    op.create_index("ix_media_jobs_leftover", "media_jobs", ["finished_at"], postgresql_where=where)


def upgrade() -> None:
    op.add_column("media_jobs", sa.Column("produced", postgresql.JSONB(), nullable=True))
    op.execute(
        sa.text(f"ALTER TABLE media_jobs ADD CONSTRAINT ck_media_jobs_own_produced CHECK ({OWN})".replace(":", "\\:"))
    )
    # Files may be stored before the provider's id is.
    _index_leftovers("submit_intended_at")


def downgrade() -> None:
    _index_leftovers("provider_job_id")
    op.drop_column("media_jobs", "produced")

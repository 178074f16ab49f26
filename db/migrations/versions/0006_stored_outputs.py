"""Outputs are deleted when they expire: what is still to be deleted, and that a job's outputs are its own."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OWN_OUTPUTS = """
NOT jsonb_path_exists(outputs, '$[*].object_key ? (!(@ starts with $folder))', jsonb_build_object(
    'folder', replace(account_id::text, '-', '') || '/' || replace(id::text, '-', '') || '/'))
""".strip()


def upgrade() -> None:
    op.add_column("media_jobs", sa.Column("outputs_deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("media_jobs", sa.Column("outputs_retry_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_media_jobs_expiring",
        "media_jobs",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("outputs_deleted_at IS NULL AND state = 'succeeded'"),
    )
    op.create_index(
        "ix_media_jobs_leftover",
        "media_jobs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text(
            "outputs_deleted_at IS NULL AND state IN ('failed', 'cancelled') AND provider_job_id IS NOT NULL"
        ),
    )
    op.create_check_constraint("own_outputs", "media_jobs", OWN_OUTPUTS)
    op.create_table(
        "storage_scans",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Text(), server_default="", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_storage_scans_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_scans")),
    )


def downgrade() -> None:
    op.drop_table("storage_scans")
    op.drop_constraint("own_outputs", "media_jobs", type_="check")
    op.drop_index("ix_media_jobs_leftover", table_name="media_jobs")
    op.drop_index("ix_media_jobs_expiring", table_name="media_jobs")
    op.drop_column("media_jobs", "outputs_retry_at")
    op.drop_column("media_jobs", "outputs_deleted_at")

"""Processes are notified when a job changes. A job has a phase, and may be cancelled; its account lists it."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NOTIFY = """
CREATE FUNCTION notify_job_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('yout_jobs', OLD.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER UPDATE ON media_jobs FOR EACH ROW
WHEN ((OLD.state, OLD.progress, OLD.phase) IS DISTINCT FROM (NEW.state, NEW.progress, NEW.phase))
EXECUTE FUNCTION notify_job_change();
CREATE TRIGGER erased AFTER DELETE ON media_jobs FOR EACH ROW EXECUTE FUNCTION notify_job_change();
"""


def upgrade() -> None:
    op.add_column("media_jobs", sa.Column("phase", sa.Text(), nullable=True))
    op.add_column("media_jobs", sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("media_jobs", sa.Column("cancel_sent_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("phase", "media_jobs", "phase IN ('waiting', 'running', 'copying')")
    op.drop_index("ix_media_jobs_account_id_created_at", table_name="media_jobs")
    op.create_index("ix_media_jobs_account_id_created_at_id", "media_jobs", ["account_id", "created_at", "id"])
    op.create_index(
        "ix_media_jobs_to_cancel",
        "media_jobs",
        ["cancel_requested_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running') AND cancel_requested_at IS NOT NULL"),
    )
    op.execute(NOTIFY)


def downgrade() -> None:
    op.execute("DROP TRIGGER changed ON media_jobs; DROP TRIGGER erased ON media_jobs; DROP FUNCTION notify_job_change")
    op.drop_index("ix_media_jobs_to_cancel", table_name="media_jobs")
    op.drop_index("ix_media_jobs_account_id_created_at_id", table_name="media_jobs")
    op.create_index("ix_media_jobs_account_id_created_at", "media_jobs", ["account_id", "created_at"])
    op.drop_constraint("phase", "media_jobs", type_="check")
    for column in ("cancel_sent_at", "cancel_requested_at", "phase"):
        op.drop_column("media_jobs", column)

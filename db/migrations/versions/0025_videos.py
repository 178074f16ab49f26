"""What a video was ordered as, and when its owner deleted it."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("media_jobs", sa.Column("size", sa.Text(), nullable=True))
    op.add_column("media_jobs", sa.Column("seconds", sa.Double(), nullable=True))
    op.add_column("media_jobs", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("media_jobs", "deleted_at")
    op.drop_column("media_jobs", "seconds")
    op.drop_column("media_jobs", "size")

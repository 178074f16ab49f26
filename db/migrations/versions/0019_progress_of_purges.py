"""When a purge last came further, so that an operator sees one that does not."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now = sa.text("now()")
    op.add_column("purges", sa.Column("progressed_at", sa.DateTime(timezone=True), server_default=now, nullable=False))


def downgrade() -> None:
    op.drop_column("purges", "progressed_at")

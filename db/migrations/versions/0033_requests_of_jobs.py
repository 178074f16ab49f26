"""A job has the request that ordered it: whoever starts its workflow, the log and its trace name that request."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

COLUMNS = ("request_id", "traceparent")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("media_jobs", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("media_jobs", name)

"""Media jobs have their turn in the queues of workers by the plan of their account."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

COLUMNS = {"priority": "3", "share": "1"}


def upgrade() -> None:
    for name, default in COLUMNS.items():
        column = sa.Column(name, sa.SmallInteger(), server_default=sa.text(default), nullable=False)
        op.add_column("media_jobs", column)


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("media_jobs", name)

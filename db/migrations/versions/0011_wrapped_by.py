"""Each key that is wrapped names the secret that did it, so that a rotation finds those of an older one."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = ("data_keys", "mailbox_keys")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("wrapped_by", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS rewrap_data_keys, rewrap_mailbox_keys")
    for table in TABLES:
        op.drop_column(table, "wrapped_by")

"""What a key requires of providers: `strict` means that they keep nothing of its calls."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("privacy", sa.Text(), server_default=sa.text("'default'"), nullable=False))
    op.create_check_constraint("privacy", "api_keys", "privacy IN ('default', 'strict')")


def downgrade() -> None:
    op.drop_column("api_keys", "privacy")

"""An account's grants and corrections are listed without its calls."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    incoming = sa.text("kind IN ('grant', 'adjust')")
    op.create_index("ix_transactions_incoming", "transactions", ["account_id", "position"], postgresql_where=incoming)


def downgrade() -> None:
    op.drop_index("ix_transactions_incoming", table_name="transactions")

"""What came back to an account in a period is added up from an index alone."""

from alembic import op
from sqlalchemy import text

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_holds_ended",
        "holds",
        ["account_id", "closed_at"],
        unique=False,
        if_not_exists=True,  # an operator of a large database has built it before, without a lock
        postgresql_include=["amount", "charged", "state", "epoch"],
        postgresql_where=text("state IN ('settled', 'void')"),
    )


def downgrade() -> None:
    op.drop_index("ix_holds_ended", table_name="holds")

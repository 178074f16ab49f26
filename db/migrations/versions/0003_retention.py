"""How far what is kept for a time has been deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pruned",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("horizon", sa.DateTime(timezone=True), nullable=False),
        sa.Column("swept", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("what IN ('holds', 'usage')", name=op.f("ck_pruned_what")),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_pruned")),
    )


def downgrade() -> None:
    op.drop_table("pruned")

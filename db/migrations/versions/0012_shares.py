"""Shared pages: sealed content that the hash of a slug finds."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("slug_hash", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("sealed_heading", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(slug_hash) = 32", name=op.f("ck_shares_slug_hash")),
        sa.CheckConstraint("messages > 0", name=op.f("ck_shares_messages")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_shares_expires_at")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_shares_account_id_accounts")),
        sa.PrimaryKeyConstraint("slug_hash", name=op.f("pk_shares")),
    )
    op.create_index("ix_shares_account_id_id", "shares", ["account_id", "id"], unique=False)
    op.create_index("ix_shares_expires_at", "shares", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("shares")

"""What else a key may have: models that it may call, a note, `strict`; and the keys that it was made with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("models", ARRAY(sa.Text()), nullable=True))
    op.add_column("api_keys", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("strict", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "api_keys", sa.Column("ancestors", ARRAY(sa.Uuid()), server_default=sa.text("'{}'::uuid[]"), nullable=False)
    )
    op.add_column("holds", sa.Column("ancestor_tokens_limits", ARRAY(sa.BigInteger()), nullable=True))


def downgrade() -> None:
    op.drop_column("holds", "ancestor_tokens_limits")
    for column in ("ancestors", "strict", "note", "models"):
        op.drop_column("api_keys", column)

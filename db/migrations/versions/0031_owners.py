"""Every row of an account names it, also a row that belongs to another one: accounts can lie in several databases."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# By table: the column that names its parent, and the parent's table. The one that each call reads comes last: its lock
# is the shortest.
PARENTS = {
    "upload_parts": ("upload_id", "uploads"),
    "job_files": ("job_id", "media_jobs"),
    "job_inputs": ("job_id", "media_jobs"),
    "purge_receipts": ("purge_id", "purges"),
    "one_time_links": ("user_id", "users"),
    "sessions": ("user_id", "users"),
    "api_key_secrets": ("key_id", "api_keys"),
}
# `db/functions.sql` has the function: what is here stands in for it until that has run, in the same transaction.
FUNCTION = "CREATE FUNCTION account_of_parent() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
WRITTEN_BEFORE_THEIR_PARENT = "job_files"


def upgrade() -> None:
    op.execute(FUNCTION)
    for table, (column, parent) in PARENTS.items():
        op.add_column(table, sa.Column("account_id", sa.Uuid(), nullable=True))
        fill = f"UPDATE {table} t SET account_id = p.account_id FROM {parent} p WHERE p.id = t.{column}"  # noqa: S608
        op.execute(fill)
        if table != WRITTEN_BEFORE_THEIR_PARENT:
            call = "FOR EACH ROW EXECUTE FUNCTION account_of_parent()"
            op.execute(f"CREATE TRIGGER owner BEFORE INSERT ON {table} {call}")


def downgrade() -> None:
    for table in PARENTS:
        op.execute(f"DROP TRIGGER IF EXISTS owner ON {table}")
        op.drop_column(table, "account_id")
    op.execute("DROP FUNCTION account_of_parent")

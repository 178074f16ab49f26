"""How much an account stores: the bytes of a job's outputs beside it. Posters are in their job's folder, too."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_STORED = "outputs_deleted_at IS NULL AND state = 'succeeded'"
_OWN = """
NOT jsonb_path_exists({column}, '{path} ? (!(@ starts with $folder))', jsonb_build_object(
    'folder', replace(account_id::text, '-', '') || '/' || replace(id::text, '-', '') || '/'))
""".strip()


def upgrade() -> None:
    op.add_column("media_jobs", sa.Column("output_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(f"""
        UPDATE media_jobs SET output_bytes = coalesce(
            (SELECT sum((o ->> 'bytes')::bigint) FROM jsonb_array_elements(outputs) AS o), 0)
        WHERE {_STORED}
    """)  # noqa: S608  # our own text
    op.create_index(
        "ix_media_jobs_stored",
        "media_jobs",
        ["account_id"],
        postgresql_include=["expires_at", "output_bytes"],
        postgresql_where=sa.text(_STORED),
    )
    _replace_check("$.**.object_key")


def downgrade() -> None:
    _replace_check("$[*].object_key")
    op.drop_index("ix_media_jobs_stored", table_name="media_jobs")
    op.drop_column("media_jobs", "output_bytes")


def _replace_check(path: str) -> None:
    for column in ("outputs", "produced"):
        name = op.f(f"ck_media_jobs_own_{column}")
        check = f"ALTER TABLE media_jobs ADD CONSTRAINT {name} CHECK ({_OWN.format(column=column, path=path)})"
        op.drop_constraint(name, "media_jobs")
        op.execute(sa.text(check.replace(":", "\\:")))

"""What must stay together has a checksum: a key's secret, an account's data key, a movement by the operator's hand.

Swapping two of them leaves every sum as it was; the checksum tells. It is computed when the row is written, of columns
that never change, and of the owner's id. And the triggers look at the books alone, whatever temporary tables there are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHECKSUMS = """
CREATE FUNCTION checksum_of(VARIADIC _parts text[]) RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(convert_to(array_to_string(_parts, '|', '-'), 'UTF8'));

CREATE FUNCTION secret_checksum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.checksum := checksum_of(encode(NEW.digest, 'hex'), NEW.masked, NEW.key_id::text,
                                (SELECT account_id::text FROM public.api_keys WHERE id = NEW.key_id));
    RETURN NEW;
END $$;
CREATE FUNCTION data_key_checksum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.checksum := checksum_of(encode(NEW.wrapped, 'hex'), NEW.account_id::text, NEW.epoch::text);
    RETURN NEW;
END $$;

UPDATE api_key_secrets s SET checksum = checksum_of(encode(s.digest, 'hex'), s.masked, s.key_id::text,
    (SELECT account_id::text FROM api_keys WHERE id = s.key_id));
UPDATE data_keys SET checksum = checksum_of(encode(wrapped, 'hex'), account_id::text, epoch::text);
ALTER TABLE transactions DISABLE TRIGGER append_only;
UPDATE transactions t SET checksum = checksum_of(t.kind, t.account_id::text, t.hold_id::text, t.ref, t.note,
    (SELECT amount::text FROM lines l WHERE l.transaction_id = t.id AND l.book = 'available'))
WHERE t.ref IS NOT NULL OR t.note IS NOT NULL;
ALTER TABLE transactions ENABLE TRIGGER append_only;

DO $$
BEGIN
    EXECUTE replace(replace(pg_get_functiondef('refuse_wrong_postings'::regproc), 'lines l LEFT JOIN transactions t',
                            'public.lines l LEFT JOIN public.transactions t'), 'JOIN holds h', 'JOIN public.holds h');
    EXECUTE replace(pg_get_functiondef('refuse_no_postings'::regproc), 'FROM lines l', 'FROM public.lines l');
END $$;

ALTER TABLE api_key_secrets ALTER COLUMN checksum SET NOT NULL;
ALTER TABLE data_keys ALTER COLUMN checksum SET NOT NULL;
CREATE TRIGGER checksum BEFORE INSERT ON api_key_secrets FOR EACH ROW EXECUTE FUNCTION secret_checksum();
CREATE TRIGGER checksum BEFORE INSERT ON data_keys FOR EACH ROW EXECUTE FUNCTION data_key_checksum();
"""


def upgrade() -> None:
    for table in ("api_key_secrets", "data_keys", "transactions"):
        op.add_column(table, sa.Column("checksum", sa.LargeBinary(), nullable=True))
    op.execute(sa.text(CHECKSUMS.replace(":", "\\:")))
    op.create_check_constraint("swept", "pruned", "swept >= 0")


def downgrade() -> None:
    op.drop_constraint("swept", "pruned", type_="check")
    op.execute("DROP TRIGGER checksum ON api_key_secrets; DROP TRIGGER checksum ON data_keys")
    op.execute("DROP FUNCTION secret_checksum, data_key_checksum")
    for table in ("api_key_secrets", "data_keys", "transactions"):
        op.drop_column(table, "checksum")
    op.execute("DROP FUNCTION checksum_of")

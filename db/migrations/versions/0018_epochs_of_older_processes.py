"""What a process of the release before claims, and the jobs it makes, have an epoch, though it knows none."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

EPOCHS = """
CREATE FUNCTION claim_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT epoch INTO STRICT NEW.epoch FROM accounts WHERE id = NEW.account_id;
    RETURN NEW;
END $$;
CREATE TRIGGER epoch BEFORE INSERT OR UPDATE OF hold_id ON idempotency FOR EACH ROW EXECUTE FUNCTION claim_epoch();

CREATE FUNCTION job_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.epoch := coalesce((SELECT epoch FROM holds WHERE id = NEW.id), NEW.epoch);
    RETURN NEW;
END $$;
CREATE TRIGGER epoch BEFORE INSERT ON media_jobs FOR EACH ROW EXECUTE FUNCTION job_epoch();
"""


def upgrade() -> None:
    op.execute(EPOCHS)


def downgrade() -> None:
    op.execute("DROP TRIGGER epoch ON idempotency; DROP TRIGGER epoch ON media_jobs")
    op.execute("DROP FUNCTION IF EXISTS claim_epoch, job_epoch, lock_batch, write_batch")

"""Alembic's entry: runs on the connection that `db.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

import db.conversation_tables
import db.media_tables
import db.payment_tables
import db.people_tables
import db.purge_tables
import db.share_tables
import db.tables
import db.upload_tables
import db.visitor_tables
import db.webhook_tables  # noqa: F401  # they fill the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=SQLModel.metadata, transactional_ddl=True, compare_server_default=False
)
with context.begin_transaction():
    context.run_migrations()

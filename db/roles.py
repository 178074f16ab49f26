"""The role that the application connects as: it reads and writes rows, and changes neither the schema nor the books.

It owns nothing, so it can neither alter a table nor switch a trigger off; postings and transactions it can only add. A
migration run makes the role when it is missing, and grants anew whatever there is, in its own transaction.
"""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, text

APPEND_ONLY = ("transactions", "lines")
SINGLE_ROLE = (
    "the application connects as the role that migrates: it could change the schema and switch the ledger's triggers "
    "off. Set YOUT_MIGRATION_DATABASE_URL, and let YOUT_DATABASE_URL name a role of its own."
)
_GRANTS = """
GRANT USAGE ON SCHEMA public TO {role};
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
REVOKE UPDATE, DELETE ON {append_only} FROM {role};
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role};
"""


def restrict(connection: Connection, app_url: str) -> bool:
    """Grants the role of `app_url` what the application needs. False: it is the very role that migrates."""
    parts = conninfo_to_dict(app_url)
    name, password = str(parts.get("user") or ""), str(parts.get("password") or "")
    if name in ("", connection.execute(text("SELECT current_user")).scalar_one()):
        return False
    role = '"' + name.replace('"', '""') + '"'
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first()
    if known is None:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{_verifier(connection, password, name)}'")
    for statement in _GRANTS.format(role=role, append_only=", ".join(APPEND_ONLY)).split(";\n"):
        if statement.strip():
            connection.exec_driver_sql(statement)
    return True


def _verifier(connection: Connection, password: str, name: str) -> str:
    """What the server keeps of a password: the password itself goes into no statement."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("not a psycopg connection")
    return driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()

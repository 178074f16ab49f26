"""Brings a database to this version's schema. Idempotent, also from several processes at once."""

from collections.abc import Callable
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from db import connections, roles
from db.engine import DIALECT

_HERE = Path(__file__).resolve().parent
_FUNCTIONS = _HERE / "functions.sql"
_LOCK = 7_206_155
_MAX_ATTEMPTS = 10
"""Processes of the release before serve meanwhile, and take their locks in another order: a deadlock may end either."""


class SchemaNewer(Exception):
    """A later version of this program has migrated the schema. This one serves from it, and may not change it."""

    def __init__(self, revision: str) -> None:
        super().__init__(connections.newer_schema(revision))
        self.revision = revision


def config(connection: Connection) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_HERE / "migrations").replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def upgrade(url: str, app_url: str | None = None) -> bool:
    """Upgrade to the newest revision. A second process waits for the first and then finds nothing to do.

    Returns True if the role of `app_url` is another one than that of `url`; it then has been granted its rights.
    Raises `SchemaNewer`, with nothing changed: functions and rights are those of the newer version, too.
    """
    restricted = False

    def all_of_it(configuration: Config) -> None:
        nonlocal restricted
        connection = configuration.attributes["connection"]
        present = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        if connections.is_newer(present):
            raise SchemaNewer(present)
        with connection.begin():  # one transaction: no process sees the tables without their functions
            command.upgrade(configuration, "head")
            connection.execute(text(_FUNCTIONS.read_text().replace(":", "\\:")))
            restricted = roles.restrict(connection, connections.conninfo(app_url or url))

    for attempt in range(1, _MAX_ATTEMPTS + 1):
        try:
            _run(url, all_of_it)
            break
        except OperationalError as error:
            if attempt == _MAX_ATTEMPTS or not isinstance(error.orig, psycopg.errors.DeadlockDetected):
                raise
    return restricted


def check(url: str) -> None:
    """Raises if the tables in the code differ from those that the migrations create."""
    _run(url, command.check)


def downgrade(url: str, revision: str = "base") -> None:
    _run(url, lambda configuration: command.downgrade(configuration, revision))


def _run(url: str, action: Callable[[Config], None]) -> None:
    opening = connections.parameters(url, "yout-migrate", writes=True)
    engine = create_engine(DIALECT, creator=lambda: psycopg.connect(**opening), hide_parameters=True)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            connection.commit()
            action(config(connection))
            connection.commit()
    finally:
        engine.dispose()

"""Opens every connection to PostgreSQL: of the ledger, the pool, the leader, migrations and the command line.

A role, a database or a server may have any default: every setting that the code needs is set here for each session.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, LiteralString, TypeGuard

import psycopg
from psycopg.conninfo import conninfo_to_dict

CONNECT_TIMEOUT_SECONDS = 3
"""The timeout for each host of the URL."""
_PINNED = {
    "timezone": "UTC",  # budgets are per UTC day, and so are reports
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "standard_conforming_strings": "on",
    "search_path": "public",
    "row_security": "off",  # a policy that hides rows is an error, not a smaller sum
    "default_transaction_isolation": "read\\ committed",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
_UNAVAILABLE = frozenset({"25006", "25P03", "25P04", "28000", "28P01", "3D000"})
"""SQLSTATEs after which another attempt or another server may work: read-only, ended by a timeout, access refused.
Others of this kind are `OperationalError`s."""
_REFUSED = frozenset({"42501", "42P01", "42703", "42883", "42704", "3F000"})
"""SQLSTATEs of a statement that the role has no right to, or that names what this schema does not have. The operator
migrates, which grants too: then it succeeds."""
REVISIONS = frozenset(file.name[:4] for file in (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py"))
"""All revisions of the schema that this program knows."""
_SERVER = (psycopg.OperationalError, psycopg.InterfaceError)


class DatabaseUrlInvalid(ValueError):
    """YOUT_DATABASE_URL is no valid URL: write it as postgresql://user:password@host:port/database."""

    def __init__(self) -> None:
        super().__init__((self.__doc__ or "").split("\n")[0])


def conninfo(url: str) -> str:
    """Return the URL in the form that libpq reads, with one host or several. Raises `DatabaseUrlInvalid`."""
    stripped = url.strip()
    scheme, separator, rest = stripped.partition("://")
    if separator and scheme.startswith(("postgresql+", "postgres+")):
        stripped = f"postgresql://{rest}"
    if not stripped or any(ord(character) < 32 for character in stripped):
        raise DatabaseUrlInvalid
    try:
        conninfo_to_dict(stripped)
    except (psycopg.Error, UnicodeError):  # its text may quote the password
        raise DatabaseUrlInvalid from None
    return stripped


def parameters(
    url: str, application: str, settings: Mapping[str, str] = MappingProxyType({}), *, writes: bool = False
) -> dict[str, Any]:
    """Return the parameters for `connect`. `settings` are set for the session in addition to the fixed ones.

    With `writes`, or with several hosts, a read-only server is refused, unless the URL has `target_session_attrs`.
    """
    given = conninfo_to_dict(conninfo(url))
    several = "," in str(given.get("host") or given.get("hostaddr") or "")
    chosen = {**_PINNED, **settings}
    if "search_path" in str(given.get("options") or ""):  # the operator's own schema
        del chosen["search_path"]
    options = " ".join(f"-c {name}={value}" for name, value in chosen.items())
    return {
        "conninfo": conninfo(url),
        "application_name": application,
        "options": f"{given.get('options') or ''} {options}".strip(),
        "target_session_attrs": given.get("target_session_attrs") or ("read-write" if writes or several else "any"),
        "connect_timeout": int(given.get("connect_timeout") or CONNECT_TIMEOUT_SECONDS),
        "tcp_user_timeout": int(given.get("tcp_user_timeout") or 5000),
        "client_encoding": "UTF8",
    }


async def connect(
    url: str, application: str, settings: Mapping[str, str], *, writes: bool = False
) -> psycopg.AsyncConnection[Any]:
    """Connect in autocommit mode. Raises `SchemaUnusable`."""
    return await opened(parameters(url, application, settings, writes=writes))


async def opened(opening: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
    """Connect in autocommit mode, and check that the database has this program's schema. Raises `SchemaUnusable`."""
    connection = await psycopg.AsyncConnection.connect(autocommit=True, **opening)
    try:
        require_schema(await (await connection.execute(SCHEMA)).fetchone())
    except BaseException as error:
        await connection.close()
        if isinstance(error, psycopg.Error):
            raise SchemaUnusable.of(error) from None
        raise
    return connection


SCHEMA: LiteralString = "SELECT version_num FROM alembic_version"


class PoolExhausted(psycopg.OperationalError):
    """All connections of this process have been in use for as long as one is waited for."""


class SchemaUnusable(psycopg.OperationalError):
    """The database has an older schema than this program, or none, or does not let the role see it."""

    @classmethod
    def of(cls, error: psycopg.Error) -> psycopg.Error:
        if isinstance(error, _SERVER):
            return error
        unusable = cls("the schema cannot be used")
        unusable.sqlstate = error.sqlstate
        return unusable


def require_schema(row: tuple[Any, ...] | None) -> None:
    """Raises `psycopg.Error` if the revision is older than the newest of this program.

    An unknown revision is a newer one: a migration runs while the version before it still serves.
    """
    if row is None or (row[0] in REVISIONS and row[0] != max(REVISIONS)):
        raise psycopg.errors.UndefinedTable


def is_newer(revision: str | None) -> TypeGuard[str]:
    """Tell whether a later version of this program has migrated the schema. None: there is none."""
    return revision is not None and revision not in REVISIONS


def newer_schema(revision: str) -> str:
    """Return what to say of it."""
    return f"the schema is at {revision}, newer than this program, which knows {max(REVISIONS)}"


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database cannot serve now, for a reason that is not in the statement."""
    fault = cause(error)
    return isinstance(fault, _SERVER) or getattr(fault, "sqlstate", None) in _UNAVAILABLE


def is_refused(error: BaseException) -> bool:
    """Tell whether the role's rights or the schema lack what this statement needs. Other statements may succeed."""
    return getattr(cause(error), "sqlstate", None) in _REFUSED


def is_read_only(error: BaseException) -> bool:
    return isinstance(cause(error), psycopg.errors.ReadOnlySqlTransaction)


def cause(error: BaseException) -> BaseException:
    """Return the driver's error inside an error of SQLAlchemy. It does not import SQLAlchemy, which takes long."""
    return getattr(error, "orig", None) or error


WRITABLE: LiteralString = "SELECT NOT (pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean)"


async def check_room(connection: psycopg.AsyncConnection[Any]) -> None:
    """Write a temporary file on the server, which is gone with the transaction. Raises `DiskFull`."""
    async with connection.transaction():
        await connection.execute("SELECT set_config('work_mem', '64kB', true)")
        with suppress(psycopg.errors.ConfigurationLimitExceeded):  # the server's `temp_file_limit`
            await connection.execute("SELECT count(*) FROM generate_series(1, 50000) AS numbers")

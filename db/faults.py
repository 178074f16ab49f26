"""Describes a fault of the database to the operator: what is wrong, where, and what to do."""

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from db import connections
from domain.faults import Fault

MIGRATE = "run `yout migrate`"
RIGHTS = "run `yout migrate` with the role that owns the schema: it grants them"
READ_ONLY = (
    "point YOUT_DATABASE_URL at the primary; if it is the primary, see its default_transaction_read_only: hosts set it "
    "on a disk that is nearly full"
)
_CHECK = "see that PostgreSQL runs there and that YOUT_DATABASE_URL names its host and port"

_EXHAUSTED = (
    "no connection to the database became free",
    "run `yout doctor`: if the database answers, raise YOUT_DATABASE_POOL",
)
SILENT = "the database does not answer"
_SILENT = (
    SILENT,
    "see that PostgreSQL runs there, has not frozen (its log, its disk) and can be reached, and that YOUT_DATABASE_URL "
    "names its host and port",
)
_BY_SQLSTATE = {
    "28P01": (
        "the database refuses the password",
        "mend the user or the password in YOUT_DATABASE_URL, which a process reads at its start",
    ),
    "28000": ("the database refuses the user", "mend the user in YOUT_DATABASE_URL, or allow it in pg_hba.conf"),
    "3D000": ("the server has no such database", "create it, or mend its name in YOUT_DATABASE_URL"),
    "53300": (
        "the database has no connection left",
        "raise max_connections or this role's limit, or lower YOUT_DATABASE_POOL",
    ),
    "57P03": ("the database is starting or stopping", "wait until it is ready"),
    "57P01": ("the database was stopped", _CHECK),
    "25006": ("the database is read-only", READ_ONLY),
    "42501": ("the database user lacks rights", RIGHTS),
    "53100": ("the database's disk is full", "make room on it; all goes on by itself then"),
    "42P01": ("the database is not migrated", MIGRATE),
    "42703": ("the database is not migrated", MIGRATE),
    "42883": ("the database is not migrated", MIGRATE),
    "42704": ("the database is not migrated", MIGRATE),
    "3F000": ("the database is not migrated", MIGRATE),
    "57014": ("the database took too long", "see what else runs there; then try again"),
    "55P03": ("the database took too long", "see what else runs there; then try again"),
}
"""Faults that a server reports by an SQLSTATE."""
_BY_CLASS = {
    "28": _BY_SQLSTATE["28000"],
    "53": ("the database has run out of something", "see its log: disk, memory or connections"),
    "57": ("the database was stopped or stopped this", "see its log"),
    "58": ("the database's machine has a fault", "see its log: disk and files"),
    "XX": ("the database has a fault of its own", "see its log; its files may be damaged"),
}
"""Faults by the first two characters of any other SQLSTATE."""
_BY_TEXT = (
    # Messages of libpq without a code. A server may translate its messages: then the line about a refusal applies.
    (r"password authentication failed|no password supplied", _BY_SQLSTATE["28P01"]),
    (r"role \S+ does not exist|no pg_hba\.conf entry|is not permitted to log in", _BY_SQLSTATE["28000"]),
    (r"database \S+ does not exist", _BY_SQLSTATE["3D000"]),
    (r"too many clients|connection slots are reserved|too many connections", _BY_SQLSTATE["53300"]),
    (r"the database system is|shutting down", _BY_SQLSTATE["57P03"]),
    (r"session is (not )?read-only|is in recovery|hot standby mode", _BY_SQLSTATE["25006"]),
    (r"failed to resolve|could not translate host name", ("the database's host is unknown", _CHECK)),
    (r"[Cc]onnection refused|No such file or directory", ("nothing listens there for the database", _CHECK)),
    (r"no valid URL|URI|invalid (port|integer|sslmode|\S+ value)|connection (info string|option)",
     ("YOUT_DATABASE_URL is no valid URL", "write it as postgresql://user:password@host:port/database")),
    (r"SSL|certificate", ("the database and this client do not agree on TLS", "mend sslmode in YOUT_DATABASE_URL")),
    (r"timeout|timed out|unreachable", _SILENT),
    (r"failed: [^:\n]+:  ", ("the database refuses the connection", "see its log; mend YOUT_DATABASE_URL")),
)  # fmt: skip
_LOST = ("the connection to the database was lost", _CHECK)


def describe(error: BaseException, url: str) -> Fault:
    """Describe an error in fixed words, without its own text, which may quote values."""
    cause = connections.cause(error)
    if isinstance(cause, TimeoutError):
        return Fault(_SILENT[0], place(url), _SILENT[1])
    if isinstance(cause, connections.PoolExhausted):
        return Fault(_EXHAUSTED[0], place(url), _EXHAUSTED[1])
    code = getattr(cause, "sqlstate", None) or ""
    what, remedy = _BY_SQLSTATE.get(code) or _BY_CLASS.get(code[:2]) or _of_text(str(cause))
    return Fault(what, place(url), remedy)


def _of_text(text: str) -> tuple[str, str]:
    return next((words for pattern, words in _BY_TEXT if re.search(pattern, text)), _LOST)


def place(url: str) -> str:
    """Return host:port/database of a URL, with commas between several, without user and password."""
    try:
        parts = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        return "YOUT_DATABASE_URL"
    hosts = str(parts.get("host") or parts.get("hostaddr") or "local socket").split(",")
    ports = str(parts.get("port") or 5432).split(",")
    named = [f"{host}:{ports[min(number, len(ports) - 1)] or 5432}" for number, host in enumerate(hosts)]
    return f"{','.join(named)}/{parts.get('dbname') or ''}".encode("ascii", "replace").decode()


def diagnose(url: str) -> Fault | None:
    """Connect once, and check that this role can read and write our schema there. Blocks for a few seconds at most.

    Returns None if there is no fault.
    """
    from db import roles  # here: its imports take long, and words need none of them

    try:
        with psycopg.connect(**connections.parameters(url, "yout-cli"), autocommit=True) as connection:
            connections.require_schema(connection.execute(connections.SCHEMA).fetchone())
            writable = connection.execute(connections.WRITABLE).fetchone()
            lacking = connection.execute(*roles.lacking_query()).fetchone()
    except (psycopg.Error, UnicodeError, ValueError) as error:
        return describe(error, url)
    if writable == (False,):
        return describe(psycopg.errors.ReadOnlySqlTransaction(), url)
    return None if lacking is None else describe(psycopg.errors.InsufficientPrivilege(), url)

"""Reads the operator's lists over a plain connection: a command starts fast because it imports the driver only."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from db import connections

_SETTINGS = {"statement_timeout": "10s"}
_ACCOUNTS = """
SELECT a.id AS account_id, u.email, u.email_verified_at IS NOT NULL AS verified, a.available, a.held,
    a.suspended_at IS NOT NULL AS suspended, a.created_at
FROM accounts a LEFT JOIN users u ON u.account_id = a.id ORDER BY a.created_at, a.id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Account:
    account_id: UUID
    email: str | None = field(repr=False)
    verified: bool
    """Its owner has shown that the address is read."""
    available: int
    held: int
    suspended: bool
    created_at: datetime | None


def accounts(url: str, limit: int) -> list[Account]:
    """Return accounts, oldest first. Raises `psycopg.Error` and `DatabaseUrlInvalid`."""
    opening = connections.parameters(url, "yout-cli", _SETTINGS)
    with psycopg.connect(**opening, row_factory=class_row(Account)) as connection:
        connection.read_only = True
        return connection.execute(_ACCOUNTS, [limit]).fetchall()

"""Writes down whose rows each statement reaches, in a database of its own.

Every table of accounts gets a policy of row-level security. Its check lets all pass, and writes a line into the log of
the server: the table, the row's account, the transaction and the statement that the client sent. PostgreSQL asks it for
each row that a scan comes across, also within functions and triggers, and for each row that is added. Plans that read a
whole table are switched off: a small one would be read so, where a large one is looked up in its index. What runs with
its owner's rights (`SECURITY DEFINER`), and checks of foreign keys, are not seen.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from sqlmodel import SQLModel

Key = TypeVar("Key", bound=Hashable)

_SET_UP = """
CREATE FUNCTION touched(_table text, _row uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'touched|%|%|%|%-%|%', current_database(), _table, _row, pg_backend_pid(), extract(epoch FROM now()),
        regexp_replace(current_query(), '\\s+', ' ', 'g');
    RETURN true;
END $$;
CREATE FUNCTION on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('row_security', 'on', false), set_config('enable_seqscan', 'off', false),
        set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false);
END $$;
CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION on_login();
"""
_LINE = re.compile(r"LOG:  touched\|(.*?)\|(.*?)\|([0-9a-f-]{36})\|(.*?)\|(.*)")
_TRANSACTIONS = "SELECT id, account_id FROM transactions"


@dataclass(frozen=True, slots=True)
class Touch:
    table: str
    account: UUID
    transaction: str
    statement: str


def record(owner_url: str) -> None:
    """Let the database write down what is reached, from each new connection on."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(_SET_UP)
        for table in SQLModel.metadata.tables.values():
            column = "id" if table.name == "accounts" else "account_id"
            if column not in table.columns:
                continue
            # Postings of the books that all accounts share have no account: their transaction has.
            row = "coalesce(account_id, transaction_id)" if table.name == "lines" else column
            name = sql.Identifier(table.name)
            check = sql.SQL("touched({}, {})").format(sql.Literal(table.name), sql.SQL(row))
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name))
            connection.execute(sql.SQL("CREATE POLICY touched ON {} USING ({})").format(name, check))


def read(owner_url: str, log: Path, since: int = 0) -> list[Touch]:
    """What was reached since this place in the server's log."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        owners: dict[UUID, UUID] = dict(connection.execute(_TRANSACTIONS).fetchall())
        database = connection.info.dbname
    with log.open("rb") as lines:
        lines.seek(since)
        matches = (_LINE.search(line.decode(errors="replace")) for line in lines)
        return [
            Touch(match[2], owners.get(UUID(match[3]), UUID(match[3])), match[4], match[5].strip())
            for match in matches
            if match and match[1] == database
        ]


def accounts_of(touches: Iterable[Touch], key: Callable[[Touch], Key]) -> dict[Key, set[UUID]]:
    """The accounts that were touched, by what `key` says."""
    accounts: dict[Key, set[UUID]] = defaultdict(set)
    for touch in touches:
        accounts[key(touch)].add(touch.account)
    return accounts

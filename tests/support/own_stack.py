"""A stack with a database and a catalog of its own, for tests whose provider or settings are their own."""

import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dev.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE
from tests.support.stack import Stack


def own_stack(
    postgres: EmbeddedPostgres, folders: pytest.TempPathFactory, name: str, catalog: str = "", **more: Any
) -> Stack:
    """Return it, not started. `catalog` extends the shipped one; `more` are fields of `Stack`."""
    database, state = f"{name}_{uuid.uuid4().hex}", folders.mktemp(name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        clone = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(clone.format(sql.Identifier(database), sql.Identifier(TEMPLATE)))
    if catalog:
        (state / "catalog.toml").write_text(catalog)
        more["catalog"] = state / "catalog.toml"
    return Stack.on(postgres, state, database=database, **more)

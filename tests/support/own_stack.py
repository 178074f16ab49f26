"""A stack with a database and a catalog of its own, for tests whose provider or settings are their own."""

import uuid
from typing import Any

import pytest

from dev.postgres import EmbeddedPostgres
from tests.support import migrated
from tests.support.stack import Stack


def own_stack(
    postgres: EmbeddedPostgres, folders: pytest.TempPathFactory, name: str, catalog: str = "", **more: Any
) -> Stack:
    """Return it, not started. `catalog` extends the shipped one; `more` are fields of `Stack`."""
    database, state = f"{name}_{uuid.uuid4().hex}", folders.mktemp(name)
    migrated.clone(postgres, database)
    if catalog:
        (state / "catalog.toml").write_text(catalog)
        more["catalog"] = state / "catalog.toml"
    return Stack.on(postgres, state, database=database, **more)

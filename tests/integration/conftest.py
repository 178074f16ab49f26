from collections.abc import AsyncIterator

import pytest

from db.writer import LedgerWriter


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[LedgerWriter]:
    async with LedgerWriter(database_url) as writer:
        yield writer

from collections.abc import AsyncIterator

import pytest

from db.writer import LedgerWriter


@pytest.fixture
async def ledger(app_url: str) -> AsyncIterator[LedgerWriter]:
    async with LedgerWriter(app_url) as writer:
        yield writer

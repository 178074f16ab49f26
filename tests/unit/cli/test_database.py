"""What an operator learns of a change that the database did not answer."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Self
from uuid import UUID

import pytest

from cli import database
from db import writer
from domain.errors import ServiceUnavailable
from domain.operations import Operation, Refund
from exits import UNKNOWN_OUTCOME, Failure

SILENT, REFUSED = ServiceUnavailable(), ServiceUnavailable(reported=True)
ORDER = Refund(hold_id=UUID(int=1), account_id=UUID(int=2))


class Writer:
    """A ledger that answers with errors alone."""

    errors: Iterator[ServiceUnavailable]

    def __init__(self, *_: object, **__: object) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ask(self, _: Operation) -> None:
        raise next(self.errors)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOUT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/yout")
    monkeypatch.setattr(writer, "LedgerWriter", Writer)


@pytest.mark.parametrize("errors", [(SILENT, SILENT), (SILENT, REFUSED)])
def test_what_may_have_been_done_is_not_known(errors: Sequence[ServiceUnavailable]) -> None:
    Writer.errors = iter(errors)
    with pytest.raises(Failure, match="not known: look") as ended:
        asyncio.run(database._ask(ORDER, "look"))
    assert ended.value.code == UNKNOWN_OUTCOME


def test_what_the_database_refuses_at_once_was_not_done() -> None:
    Writer.errors = iter([REFUSED])
    with pytest.raises(ServiceUnavailable):
        asyncio.run(database._ask(ORDER, "look"))

"""An application whose database is nowhere: its edge, its documents, and the pages that need no database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx2

from api.session_cookie import SessionCookie
from db.engine import Database
from domain.errors import ServiceUnavailable
from domain.limits import NO_LIMITS
from domain.operations import Operation
from domain.results import Answer
from domain.visitors import VisitorRules
from server import create_app
from settings import Settings
from tests.support.stack import SECRET


class UnavailableLedger:
    async def ask(self, _: Operation) -> Answer:
        raise ServiceUnavailable


@asynccontextmanager
async def opened(**given: object) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of such an application."""
    settings = {"database_url": "postgresql://nowhere@127.0.0.1:1/none", "secret_key": SECRET, **given}
    app = create_app(Settings(**settings))  # type: ignore[arg-type]
    database = Database.open("postgresql://nowhere@127.0.0.1:1/none")
    calls = SimpleNamespace(ledger=UnavailableLedger())
    app.state.resources = SimpleNamespace(
        database=database,
        calls=calls,
        ceiling=NO_LIMITS,
        cookie=SessionCookie("http://test"),
        visitors=SimpleNamespace(rules=VisitorRules(messages_day=0)),
    )
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await database.close()

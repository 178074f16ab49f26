"""An account as its owner uses it through the API, with the database behind it."""

from dataclasses import dataclass
from typing import Any

import httpx2

from db.engine import Database
from db.writer import LedgerWriter
from tests.support.bank import Customer
from tests.support.stack import eventually

CREDITS = 1_000_000
QUESTION = {"messages": [{"role": "user", "content": "What is 2+2?"}]}


@dataclass(frozen=True, slots=True)
class AccountClient:
    """One account, through the API and behind it."""

    customer: Customer
    http: httpx2.AsyncClient
    database: Database
    ledger: LedgerWriter

    async def get(self, path: str, **query: object) -> dict[str, Any]:
        parameters = {("from" if name == "since" else name): str(value) for name, value in query.items()}
        answer = await self.http.get(f"/api/billing{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def chat(self, model: str, **fields: object) -> httpx2.Response:
        return await self.http.post("/v1/chat/completions", json={"model": model, **QUESTION, **fields})

    async def charged(self, model: str, **fields: object) -> dict[str, Any]:
        """The receipt of a call that was made."""
        answer = await self.chat(model, **fields)
        assert answer.status_code == 200, answer.text
        return await self.get(f"/charges/{answer.json()['id']}/")

    async def streamed(self, model: str, chunks: int | None = None, **fields: object) -> str:
        """Reads so many chunks of a stream, or all of it; the id of the call."""
        body = {"model": model, **QUESTION, "stream": True, **fields}
        async with self.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
            first, seen = "", 0
            async for line in answer.aiter_lines():
                first = first or line
                seen += line.startswith("data:")
                if seen == chunks:
                    break
        return first.partition('"id":"')[2].partition('"')[0]

    async def closed(self, charge: str) -> dict[str, Any]:
        async def receipt_() -> dict[str, Any] | None:
            receipt = await self.get(f"/charges/{charge}/")
            return receipt if receipt["state"] != "open" else None

        receipt: dict[str, Any] = await eventually(receipt_)
        return receipt

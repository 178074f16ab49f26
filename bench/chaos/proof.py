"""All that an account's owner can see of its money, fetched over HTTP and computed again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.chaos.calls import Attempt
from bench.chaos.receipts import Receipt, faults, statement_faults

AT_ONCE = 8
KINDS = (
    *("finished", "streamed", "broken by the upstream", "client gone", "swept", "released"),
    *("refunded", "written off", "extended", "bounded by max_credits"),
)
LONG_AGO, FAR_AHEAD = "2000-01-01", "2999-01-01"


@dataclass(frozen=True, slots=True)
class ClientResult:
    """What a client knows of a call that it made."""

    stream: bool
    left: bool
    attempt: Attempt


@dataclass(slots=True)
class Proof:
    counts: Counter[str] = field(default_factory=Counter)
    receipts: int = 0
    faults: list[str] = field(default_factory=list)

    def missing(self) -> list[str]:
        return [f"no receipt was {kind}: nothing is proved of those" for kind in KINDS if not self.counts[kind]]

    def __str__(self) -> str:
        counted = ", ".join(f"{self.counts[kind]} {kind}" for kind in KINDS)
        return f"{self.receipts} receipts recomputed: {counted}"


def kinds(receipt: Receipt, result: ClientResult | None) -> Iterator[str]:
    """One receipt can be of several."""
    credits, charged = receipt["credits"], receipt["state"] == "settled"
    holds_of = {
        "swept": receipt["closed_by"] == "sweeper",
        "released": not charged,
        "refunded": credits["refunded"] > 0,
        "written off": credits["written_off"] > 0,
        "extended": bool(receipt["extensions"]),
        "bounded by max_credits": receipt["bounds"]["max_credits"] is not None,
    }
    if result is not None and receipt["closed_by"] == "call" and charged:
        outcome = result.attempt
        holds_of |= {
            "finished": outcome.whole and not result.stream,
            "streamed": outcome.whole and result.stream,
            "broken by the upstream": outcome.refused and outcome.code == "upstream_error",
            "client gone": result.left and not outcome.known,
        }
    return (kind for kind, holds in holds_of.items() if holds)


def contradictions(receipt: Receipt, result: ClientResult) -> Iterator[str]:
    outcome, credits = result.attempt, receipt["credits"]
    if outcome.charged is not None and outcome.charged != credits["charged"]:
        yield f"{receipt['id']}: its client was told {outcome.charged}, the receipt says {credits['charged']}"
    if outcome.whole and credits["charged"] + credits["written_off"] < receipt["calculation"]["minimum_charge"]:
        yield f"{receipt['id']} was finished for {credits['charged']}, less than the least"


@dataclass(frozen=True, slots=True)
class Owner:
    """An account, through one API and its key."""

    session: aiohttp.ClientSession
    url: str
    token: str

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"}
        async with self.session.get(f"{self.url}/api{path}", params=query, headers=headers) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer

    async def pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        while True:
            page = await self.get(path, limit="100", **query)
            yield page
            if not page["has_more"]:
                return
            query["cursor"] = page["next"]

    async def prove(self, results: Mapping[str, ClientResult], proof: Proof) -> None:
        listed = [charge async for page in self.pages("/billing/charges/") for charge in page["data"]]
        receipts = await self._receipts([charge["id"] for charge in listed])
        for charge, receipt in zip(listed, receipts, strict=True):
            proof.counts.update(kinds(receipt, results.get(receipt["id"])))
            proof.faults += faults(receipt)
            proof.faults += _listed_otherwise(charge, receipt)
            if receipt["id"] in results:
                proof.faults += contradictions(receipt, results[receipt["id"]])
        proof.receipts += len(receipts)
        proof.faults += statement_faults(await self._statement(), receipts)

    async def _receipts(self, charges: Iterable[str]) -> list[dict[str, Any]]:
        places = asyncio.Semaphore(AT_ONCE)

        async def fetched(charge: str) -> dict[str, Any]:
            async with places:
                return await self.get(f"/billing/charges/{charge}/")

        return await asyncio.gather(*(fetched(charge) for charge in charges))

    async def _statement(self) -> dict[str, Any]:
        """All pages in one. That it closes with what can be spent now is part of it."""
        parts = [page async for page in self.pages("/billing/statement/", **{"from": LONG_AGO, "to": FAR_AHEAD})]
        now = await self.get("/chat/limit/")
        return parts[0] | {
            "data": [movement for page in parts for movement in page["data"]],
            "closing": {side: now[side] for side in ("balance", "held")},
            "closings": [page["closing"] for page in parts],
        }


def _listed_otherwise(charge: Mapping[str, Any], receipt: Receipt) -> Iterator[str]:
    for name in ("id", "kind", "model", "key_id", "state", "created_at", "closed_at", "credits", "usage"):
        if charge[name] != receipt[name]:
            yield f"{receipt['id']}: the list says {name} {charge[name]}, the receipt {receipt[name]}"


async def prove(url: str, owners: Sequence[tuple[str, Mapping[str, ClientResult]]]) -> Proof:
    """`owners`: the key of each account, and what its clients heard, by the id of the charge."""
    proof = Proof()
    async with aiohttp.ClientSession() as session:
        for token, results in owners:
            await Owner(session, url, token).prove(results, proof)
    return proof

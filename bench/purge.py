"""`python -m bench.purge`: erases an account with very many calls, while another one goes on calling.

The calls are planted by SQL, as the ledger would have written them. Clients then call for some seconds without a purge,
and for as long as the purge runs. The balances are compared, and the books are audited.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer

from bench.plan import Spread
from bench.process import cpu_seconds
from bench.result import ERASED, Erasure
from bench.stack import Api, Stack, start_upstream
from dev.temporal import EmbeddedTemporal

CALLERS = 4
PACE = 0.1
"""Seconds from call to call of one caller: the cores are busy, not full, or everything beside would hurt."""
PLANT = """
SET session_replication_role = replica;
CREATE TEMPORARY TABLE calls AS
SELECT uuidv7(at - now()) AS id, n, at
FROM (SELECT n, now() - interval '{over}' * (1 - n::float / {calls}) AS at FROM generate_series(1, {calls}) AS n);
INSERT INTO holds (id, account_id, kind, model, state, amount, charged, input_bound, output_limit, created_at,
                   closed_at, closed_by)
SELECT id, '{account}', 'chat', 'bench-plain', 'settled', 30, 20, 10, 20, at, at, 'call' FROM calls;
INSERT INTO usage (hold_id, account_id, kind, model, input_tokens, output_tokens, credits, source, created_at)
SELECT id, '{account}', 'chat', 'bench-plain', 10, 10, 20, 'provider', at FROM calls;
INSERT INTO usage_days (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits)
SELECT '{account}', (at AT TIME ZONE 'UTC')::date, 'bench-plain', '00000000-0000-0000-0000-000000000000', 'chat',
       count(*), 10 * count(*), 10 * count(*), 20 * count(*) FROM calls GROUP BY 2;
CREATE TEMPORARY TABLE moved AS
SELECT uuidv7(at - now()) AS id, kind, c.id AS hold_id, 2 * n + side AS position, at
FROM calls c, (VALUES (0, 'hold'), (1, 'charge')) AS s(side, kind);
INSERT INTO transactions (id, kind, account_id, hold_id, position, created_at)
SELECT id, kind, '{account}', hold_id, position, at FROM moved;
INSERT INTO lines (transaction_id, book, account_id, amount)
SELECT id, book, CASE book WHEN 'revenue' THEN NULL ELSE '{account}'::uuid END, amount
FROM moved JOIN (VALUES ('hold', 'available', -30), ('hold', 'held', 30), ('charge', 'available', 10),
                        ('charge', 'held', -30), ('charge', 'revenue', 20)) AS l(kind, book, amount) USING (kind);
UPDATE accounts SET available = available - 20 * {calls}, movements = 1 + 2 * {calls}, moved_at = now()
WHERE id = '{account}';
RESET session_replication_role;
ANALYZE holds, usage, transactions, lines
"""


@dataclass(slots=True)
class Caller:
    """Calls at a steady pace, and measures how long each call takes."""

    api: Api
    token: str
    stopped: bool = False

    async def times(self) -> list[float]:
        taken: list[float] = []
        headers = {"authorization": f"Bearer {self.token}"}
        body = {"model": "bench-plain", "messages": [{"role": "user", "content": "a word"}], "max_tokens": 20}
        async with aiohttp.ClientSession(headers=headers) as http:
            while not self.stopped:
                began = time.perf_counter()
                async with http.post(f"{self.api.url}/v1/chat/completions", json=body) as answer:
                    await answer.read()
                    answer.raise_for_status()
                taken.append(time.perf_counter() - began)
                await asyncio.sleep(max(0.0, PACE - taken[-1]))
        return taken


def main(
    calls: Annotated[int, typer.Option(help="Calls to erase.")] = ERASED,
    seconds: Annotated[float, typer.Option(help="Without a purge.")] = 20.0,
) -> None:
    """Print how long the purge took, and what calls beside it and without it took. Exit 1: the books are not right."""
    with tempfile.TemporaryDirectory(prefix="yout-purge-") as folder:
        raise typer.Exit(asyncio.run(_alone(Path(folder), calls, seconds)))


async def _alone(folder: Path, calls: int, seconds: float) -> int:
    port, upstream = await start_upstream(folder / "upstream.log")
    try:
        figures = await measured(folder, port, calls, seconds)
    finally:
        await upstream.end()
    typer.echo(
        f"{calls:,} calls erased in {figures.seconds:.1f} s, p99 of other calls {figures.slower:.2f} times as long\n"
        f"p99 {figures.alone.p99:.1f} ms, beside the purge {figures.beside.p99:.1f} ms; "
        f"p50 {figures.alone.p50:.1f} ms and {figures.beside.p50:.1f} ms\n"
        f"CPU of PostgreSQL {figures.postgres:.1f} s; books right: {figures.right}"
    )
    return 0 if figures.right else 1


async def measured(folder: Path, upstream: int, calls: int, seconds: float) -> Erasure:
    """On a stack of its own, with a worker and Temporal."""
    stack, temporal = Stack(folder, upstream, ["plain"]), EmbeddedTemporal(folder / "temporal")
    async with temporal:
        try:
            await stack.start(0)
            environment = stack.environment | {"YOUT_TEMPORAL_ADDRESS": temporal.address}
            api = Api(stack.checkout, environment, folder / "api.log")
            worker = stack.checkout.spawn(folder / "worker.log", ["worker"], environment)
            try:
                await api.start()
                return await _measured(stack, api, calls, seconds)
            finally:
                await api.stop()
                await worker.end()
        finally:
            await stack.stop()


async def _measured(stack: Stack, api: Api, calls: int, seconds: float) -> Erasure:
    account, token = await stack.open_account("erased@example.test", 10**12)
    await stack.run(PLANT.format(account=account, calls=calls, over="1 hour"))
    alone, _ = await _calling(stack, api, lambda: asyncio.sleep(seconds))
    assert stack.postgres.pid is not None  # noqa: S101  # it runs
    before = cpu_seconds(stack.postgres.pid)
    beside, view = await _calling(stack, api, lambda: _purged(api, token))
    spent = cpu_seconds(stack.postgres.pid) - before
    receipt, report = view["receipt"], await stack.audit()
    unchanged = receipt["balance"]["before"] == receipt["balance"]["after"]
    return Erasure(
        calls=calls,
        seconds=round(view["seconds"], 1),
        postgres=round(spent, 1),
        alone=Spread.of(alone),
        beside=Spread.of(beside),
        right=bool(report["clean"]) and unchanged and receipt["deleted"]["usage_entries"] == calls,
    )


async def _calling(stack: Stack, api: Api, meanwhile: Callable[[], Any]) -> tuple[list[float], Any]:
    callers = [Caller(api, stack.token) for _ in range(CALLERS)]
    running = [asyncio.create_task(caller.times()) for caller in callers]
    result = await meanwhile()
    for caller in callers:
        caller.stopped = True
    return [taken for times in await asyncio.gather(*running) for taken in times], result


async def _purged(api: Api, token: str) -> dict[str, Any]:
    began = time.perf_counter()
    async with aiohttp.ClientSession(api.url, headers={"authorization": f"Bearer {token}"}) as http:
        async with http.post("/api/chat/purge/", json={"confirm": "erase"}) as answer:
            purge = await answer.json()
        while True:
            async with http.get(f"/api/chat/purge/{purge['purge_id']}/") as answer:
                view: dict[str, Any] = await answer.json()
            if view["status"] == "completed":
                return view | {"seconds": time.perf_counter() - began}
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    typer.run(main)

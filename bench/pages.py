"""`python -m bench.pages`: what the web app's pages cost with very many charges, keys, jobs and kept chats.

What lies in the account is planted by SQL, as the product would have written it: charges of 60 days, and a roll-up of
90 days. The pages have two budgets: one for 10,000 charges, the default, and one for 50 models, `--models 50`.
CPU seconds are those of the processes, so that another load on the machine changes them little. `--against COMMIT`
measures that commit in the same run, page by page in turns.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated

import aiohttp
import typer
from rich.table import Table

from bench import report, site
from bench.plan import percentile
from bench.process import running_seconds
from bench.purge import PLANT
from bench.site import Site
from bench.stack import Stack, start_upstream
from dev.errors import CannotStart

CHARGES = 10_000
MODELS = 10
WARM = 5
BASE = "/api/auth/me/"
"""What every page of an account asks at least: others are compared with it."""
PAGES = (
    *(BASE, "/activity", "/activity?days=90", "/activity?days=90&by=key", "/activity/statement", "/keys", "/models"),
    *("/studio/image", "/webhooks", "/privacy", "/plan", "/account", "/chat"),
)
DAYS = """
INSERT INTO usage_days (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits)
SELECT '{account}', (now() AT TIME ZONE 'UTC')::date - day, 'bench-' || model, md5((model % 10)::text)::uuid, 'chat',
       10, 1000, 1000, 1000 + model * day
FROM generate_series(0, 89) AS day, generate_series(1, {models}) AS model ORDER BY day DESC, model
"""
KEPT_CHATS = 10
"""By calls. Older ones are planted: no page opens them."""
MORE = """
INSERT INTO api_keys (id, account_id, name, scopes, limits, created_at, revoked_at)
SELECT gen_random_uuid(), '{account}', 'key ' || n, ARRAY['chat', 'billing'], '{{"credits_day": 1000000}}', now(),
       CASE WHEN n > 100 THEN now() END FROM generate_series(1, 1000) AS n;
INSERT INTO api_key_secrets (digest, key_id, masked, created_at)
SELECT sha256(id::text::bytea), id, 'yout-Ab3f…9xQ2', now() FROM api_keys WHERE account_id = '{account}';
INSERT INTO media_jobs (id, account_id, kind, model, provider, state, credits_cost, created_at, finished_at, deadline,
                        error, outputs_deleted_at)
SELECT gen_random_uuid(), '{account}', 'image', 'demo-image', 'demo', 'failed', 5, now() - n * interval '1 minute',
       now(), now(), '{{"code": "upstream_error", "message": "It failed."}}', now() FROM generate_series(1, 5000) AS n;
INSERT INTO conversations (id, account_id, epoch, title, created_at, updated_at)
SELECT gen_random_uuid(), '{account}', 1, 'sealed', at, at
FROM (SELECT now() - n * interval '1 hour' AS at FROM generate_series(1, 1000) AS n) AS times;
VACUUM ANALYZE
"""
"""At the end what autovacuum does by and by."""
NOTED = """
INSERT INTO running_balances (account_id, position, available, held, epoch)
SELECT '{account}', 2 * n + 1, (SELECT available FROM accounts WHERE id = '{account}') + 20 * ({calls} - n), 0, 1
FROM generate_series(1, {calls}) AS n WHERE (2 * n + 1) / 500 > (2 * n - 1) / 500
"""
out = report.console()


@dataclass(frozen=True, slots=True)
class Planted:
    """What the account has."""

    charges: int
    models: int


@dataclass(slots=True)
class Cost:
    """Of one page."""

    turns: list[list[float]] = field(default_factory=list)
    """Seconds of each request, by turn."""
    python: float = 0.0
    """CPU seconds of the API process."""
    postgres: float = 0.0

    @property
    def times(self) -> Sequence[float]:
        return sorted(seconds for turn in self.turns for seconds in turn)

    def cells(self) -> list[str]:
        count = len(self.times)
        wall = [f"{percentile(self.times, part) * 1000:.1f}" for part in (50, 95)]
        cpu = [f"{seconds / count * 1000:.1f}" for seconds in (self.python, self.postgres)]
        return [*wall, *cpu]


def main(
    charges: Annotated[int, typer.Option(help="Of the account.")] = CHARGES,
    times: Annotated[int, typer.Option(help="How often each page is requested in a turn.")] = 20,
    models: Annotated[int, typer.Option(help="Of the roll-up of 90 days.")] = MODELS,
    turns: Annotated[int, typer.Option(help="How often each page has its turn.")] = 3,
    against: Annotated[str, typer.Option(help="Measure this commit too, in the same run.")] = "",
) -> None:
    """Print the time and the CPU time of each page."""
    try:
        costs = asyncio.run(measured(Planted(charges, models), times, turns, against))
    except CannotStart as problem:
        out.print(f"error: {problem}", markup=False)
        raise typer.Exit(2) from None
    for name, pages in costs.items():
        columns = ("page", "p50 ms", "p95 ms", "API CPU ms", "PostgreSQL CPU ms", f"times {BASE}")
        shown = Table(*columns, title=f"{name}: {charges:,} charges, {models} models")
        for path, cost in pages.items():
            shown.add_row(path, *cost.cells(), f"{ratio(cost, pages[BASE]):.1f}")
        out.print(shown)
    if against:
        older, newer = costs.values()
        shown = Table("page", "p50, this tree times the commit", "p95", "CPU of both processes")
        for path, cost in newer.items():
            shown.add_row(path, *compared(cost, older[path]))
        out.print(shown)


def ratio(cost: Cost, base: Cost, part: int = 50) -> float:
    """Return the median over turns: what disturbs a turn disturbs both sides."""
    pairs = zip(cost.turns, base.turns, strict=True)
    return median(percentile(sorted(one), part) / percentile(sorted(other), part) for one, other in pairs)


def compared(cost: Cost, older: Cost) -> list[str]:
    cpu = (cost.python + cost.postgres) / (older.python + older.postgres)
    return [f"{value:.2f}" for value in (ratio(cost, older), ratio(cost, older, 95), cpu)]


async def measured(planted: Planted, times: int, turns: int, against: str) -> dict[str, dict[str, Cost]]:
    """Return what each page costs, of the older commit and of this tree."""
    async with AsyncExitStack() as ending:
        folder = await ending.enter_async_context(site.work_folder("pages"))
        trees = await ending.enter_async_context(site.trees(folder, against))
        upstream, child = await start_upstream(folder / "upstream.log")
        ending.push_async_callback(child.end)
        sites = []
        for number, (name, checkout) in enumerate(trees):
            stack = Stack(folder / str(number), upstream, ["plain"], checkout)
            sites.append(await ending.enter_async_context(site.started(name, stack)))
            await _fill(sites[-1], planted)
        costs = {one.name: {path: Cost() for path in PAGES} for one in sites}
        for path in PAGES:
            for turn in range(turns):
                for one in sites if turn % 2 else reversed(sites):
                    await _measure(one, costs[one.name][path], path, times)
        return costs


async def _fill(site: Site, planted: Planted) -> None:
    """Plant what the account has, after kept chats."""
    account = site.account
    await site.stack.run(PLANT.format(account=account, calls=planted.charges, over="60 days"))
    if await site.stack.number("SELECT count(*) FROM pg_class WHERE relname = 'running_balances'"):
        await site.stack.run(NOTED.format(account=account, calls=planted.charges))
    await site.stack.run(DAYS.format(account=account, models=planted.models))
    await site.stack.run(MORE.format(account=account))
    async with site.browser.patch("/api/chat/settings/", json={"keep_history": True}) as answer:
        answer.raise_for_status()
    say = {"model": "bench-plain", "message": "Hello", "save": True, "max_tokens": 20}
    for _ in range(KEPT_CHATS):
        async with site.browser.post("/api/chat/stream/", json=say) as answer:
            answer.raise_for_status()
            await answer.read()


async def _measure(site: Site, cost: Cost, path: str, times: int) -> None:
    """Add a turn of a page."""
    postgres = site.stack.postgres.pid
    assert postgres is not None  # noqa: S101  # it runs
    await _read(site.browser, path, WARM)
    before = running_seconds(site.api.pid), running_seconds(postgres)
    cost.turns.append(await _read(site.browser, path, times))
    cost.python += running_seconds(site.api.pid) - before[0]
    cost.postgres += running_seconds(postgres) - before[1]


async def _read(browser: aiohttp.ClientSession, path: str, times: int) -> list[float]:
    """Request a page so many times, one after the other. Returns how long each took."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        async with browser.get(path, allow_redirects=False) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path} answers {answer.status}")
        taken.append(time.perf_counter() - began)
    return taken


if __name__ == "__main__":
    typer.run(main)

"""`python -m bench.pages`: what the web app's pages cost with very many charges in the account.

The calls are planted by SQL, as the ledger would have written them, with a roll-up of 90 days and 50 models.
CPU seconds are those of the processes, so that another load on the machine changes them little.
"""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.table import Table

from bench import report
from bench.plan import percentile
from bench.process import running_seconds
from bench.purge import PLANT
from bench.stack import Api, Stack
from dev import ports

CHARGES = 10_000
WARM = 5
OPEN = {"YOUT_EMAIL_VERIFICATION": "false"}
BASE = "/api/auth/me/"
"""What every page of an account asks at least: others are compared with it."""
PAGES = (
    *(BASE, "/activity", "/activity?days=90", "/activity?days=90&by=key", "/activity/statement", "/keys", "/models"),
    *("/studio/image", "/webhooks", "/privacy", "/plan", "/account", "/chat"),
)
RICH = "UPDATE accounts SET available = 10 ^ 12 WHERE id = %s"
DAYS = """
INSERT INTO usage_days (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits)
SELECT '{account}', (now() AT TIME ZONE 'UTC')::date - day, 'bench-' || model, md5((model % 10)::text)::uuid, 'chat',
       10, 1000, 1000, 1000 + model * day
FROM generate_series(0, 89) AS day, generate_series(1, 50) AS model
"""


@dataclass(frozen=True, slots=True)
class Cost:
    path: str
    times: Sequence[float]
    """Seconds of each request, in order of size."""
    python: float
    """CPU seconds of the API process for one request."""
    postgres: float


def main(
    charges: Annotated[int, typer.Option(help="Of the account.")] = CHARGES,
    times: Annotated[int, typer.Option(help="How often each page is requested.")] = 60,
) -> None:
    """Print the time and the CPU time of each page."""
    with tempfile.TemporaryDirectory(prefix="yout-pages-") as folder:
        costs = asyncio.run(measured(Path(folder), charges, times))
    columns = ("page", "p50 ms", "p95 ms", "API CPU ms", "PostgreSQL CPU ms", f"times {BASE}")
    shown = Table(*columns, title=f"{charges:,} charges")
    for cost in costs:
        wall = [f"{percentile(cost.times, part) * 1000:.1f}" for part in (50, 95)]
        ratio = percentile(cost.times, 50) / percentile(costs[0].times, 50)
        shown.add_row(cost.path, *wall, f"{cost.python * 1000:.1f}", f"{cost.postgres * 1000:.1f}", f"{ratio:.1f}")
    report.console().print(shown)


async def measured(folder: Path, charges: int, times: int) -> list[Cost]:
    stack = Stack(folder, ports.free(), ["plain"])
    try:
        await stack.start(0)
        api = Api(stack.checkout, stack.environment | OPEN, folder / "api.log")
        await api.start()
        try:
            return await _measured(stack, api, charges, times)
        finally:
            await api.stop()
    finally:
        await stack.stop()


async def _measured(stack: Stack, api: Api, charges: int, times: int) -> list[Cost]:
    own = {"sec-fetch-site": "same-origin", "accept-encoding": "gzip"}
    async with aiohttp.ClientSession(api.url, headers=own, cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        person = {"email": f"{uuid.uuid4().hex}@example.com", "password": uuid.uuid4().hex}
        async with browser.post("/api/auth/signup/", json=person) as answer:
            answer.raise_for_status()
        ((account,),) = await stack.rows("SELECT account_id FROM users WHERE email = %s", person["email"])
        await stack.rows(RICH, account)
        await stack.run(PLANT.format(account=account, calls=charges))
        await stack.run(DAYS.format(account=account))
        return [await _cost(stack, api, browser, path, times) for path in PAGES]


async def _cost(stack: Stack, api: Api, browser: aiohttp.ClientSession, path: str, times: int) -> Cost:
    postgres = stack.postgres.pid
    assert postgres is not None  # noqa: S101  # it runs
    await _read(browser, path, WARM)
    before = running_seconds(api.pid), running_seconds(postgres)
    taken = await _read(browser, path, times)
    python, sql = running_seconds(api.pid) - before[0], running_seconds(postgres) - before[1]
    return Cost(path, sorted(taken), python / times, sql / times)


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

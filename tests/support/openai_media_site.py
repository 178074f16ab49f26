"""A stack with Temporal and a worker, and OpenAI's SDK as a client of its media endpoints."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI

from tests.support.media_stack import Customer, World, embedded
from tests.support.stack import Stack

IDS = "SELECT id::text FROM media_jobs WHERE account_id = %s ORDER BY created_at"
STATES = """SELECT state, (SELECT count(*) FROM job_files f WHERE f.job_id = j.id)::int
    FROM media_jobs j WHERE account_id = %s ORDER BY created_at"""


@dataclass(slots=True)
class Client:
    world: World
    customer: Customer
    sdk: AsyncOpenAI

    async def jobs(self) -> list[str]:
        """Return their ids."""
        return [row[0] for row in await self.world.rows(IDS, self.customer.account_id)]

    async def states(self) -> list[tuple[str, int]]:
        """Return the state of each job, and how many input files are stored still."""
        return [(state, files) for state, files in await self.world.rows(STATES, self.customer.account_id)]

    async def spent(self) -> int:
        """Nothing may be held any more."""
        available, held = await self.customer.balance()
        assert held == 0
        return self.customer.opening - available

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World) -> AsyncIterator["Client"]:
        """Of a new account. It tries nothing again by itself."""
        customer = await world.customer()
        async with AsyncOpenAI(api_key=customer.token, base_url=f"{world.stack.url}/v1", max_retries=0) as sdk:
            yield cls(world, customer, sdk)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    async with embedded(folder) as (postgres, server):
        stack = Stack.on(postgres, folder / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "3"})
        with stack.running("worker"), stack.running("api"):
            async with World.of(stack) as opened:
                yield opened

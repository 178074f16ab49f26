"""With no API process alive: a worker and Temporal's schedule end what a dead one has left."""

from pathlib import Path
from uuid import uuid4

from domain.ledger import Renew
from tests.integration.bank import balance, open_account, reserve
from tests.integration.media_stack import World, embedded, temporal_of, triggered, until
from tests.stack import Stack

OPENING, HELD, RELAYED = 1000, 100, 30


async def test_expired_holds_are_ended_without_an_api(tmp_path: Path) -> None:
    async with embedded(tmp_path) as (postgres, server):
        stack = Stack(postgres.url, tmp_path / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "1"})
        async with World.of(stack) as world:
            cut, silent, alive = [await open_account(world.database, world.ledger, OPENING) for _ in range(3)]
            hold_id = uuid4()
            await world.ledger.ask(reserve(cut, HELD, hold_id))
            await world.ledger.ask(Renew(hold_id, RELAYED))
            for customer in (silent, alive):
                await world.ledger.ask(reserve(customer, HELD))
            await world.rows(
                "UPDATE holds SET lease_until = now() + CASE WHEN account_id = %s THEN interval '1 hour' "
                "ELSE interval '-1 minute' END",
                alive.account_id,
            )

            async def ended() -> bool:
                return len(await world.rows("SELECT id FROM holds WHERE closed_by = 'sweeper'")) == 2

            with stack.running("worker", {"YOUT_WORKER_QUEUES": "maintenance"}):
                temporal = await temporal_of(server)
                await until(lambda: triggered(temporal), "the schedule")
                await until(ended, "the holds to be swept")
            assert await balance(postgres.url, cut) == (OPENING - RELAYED, 0, 0)
            assert await balance(postgres.url, silent) == (OPENING, 0, 0)
            assert await balance(postgres.url, alive) == (OPENING - HELD, HELD, 1)
            await world.books_are_clean()

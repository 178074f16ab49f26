"""With no API process alive: a worker and Temporal's schedule do what is left to do."""

import asyncio
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL
from uuid import uuid4

from temporalio.client import Client

from db.data_keys import Sealing
from db.media import MediaJobs
from db.media_orders import Order
from domain.caller import Payer
from domain.media import Kind, MediaRequest, Output, OutputFolder, object_key
from domain.operations import Renew
from domain.pricing import FlatTerms
from tests.support.bank import WRAPPING, balance, open_account, reserve
from tests.support.media_stack import World, embedded, temporal_of, triggered, until
from tests.support.stack import Stack

OPENING, HELD, RELAYED = 1000, 100, 30


async def test_expired_holds_are_ended_without_an_api(tmp_path: Path) -> None:
    async with embedded(tmp_path) as (postgres, server):
        stack = Stack.on(postgres, tmp_path / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "1"})
        async with World.of(stack) as world:
            cut, silent, alive = [await open_account(world.database, world.ledger, OPENING) for _ in range(3)]
            hold_id = uuid4()
            await world.ledger.ask(reserve(cut, HELD, hold_id))
            await world.ledger.ask(Renew(hold_id, RELAYED))
            for customer in (silent, alive):
                await world.ledger.ask(reserve(customer, HELD))
            await world.rows(
                "UPDATE holds SET lease_until = now() + CASE WHEN account_id = %s THEN interval '5 minutes' "
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


async def _expired(world: World) -> OutputFolder:
    """A job whose output lies in storage and has expired."""
    customer = await open_account(world.database, world.ledger, OPENING)
    jobs = MediaJobs(world.database, Sealing(WRAPPING), output_lifetime=timedelta(0))
    request, price = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake"), FlatTerms(HELD, "v1")
    order = Order(uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", price, request)
    folder = OutputFolder(customer.account_id, (await jobs.accept(order)).job.id)
    await jobs.begin(folder.job_id)
    key = object_key(folder.account_id, folder.job_id, 0, "png")
    file = world.stack.state / "media" / key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"content")
    await jobs.succeed(folder.job_id, [Output(object_key=key, content_type="image/png", bytes=7)])
    return folder


async def _triggered_until(temporal: Client, world: World, folder: OutputFolder) -> None:
    async def deleted() -> bool:
        await triggered(temporal)
        query = "SELECT id FROM media_jobs WHERE id = %s AND outputs_deleted_at IS NOT NULL"
        return bool(await world.rows(query, folder.job_id))

    await until(deleted, "the outputs to be deleted", every=1)


async def test_outputs_are_deleted_by_workers_that_are_killed_at_it(tmp_path: Path) -> None:
    """Before it, and after it with nobody told: the next one does it, or finds nothing left to do."""
    async with embedded(tmp_path) as (postgres, server):
        stack = Stack.on(postgres, tmp_path / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "1"})
        async with World.of(stack) as world:
            temporal = await temporal_of(server)
            folders = []
            for moment in ("before", "after"):
                folders.append(await _expired(world))
                killed = {"YOUT_WORKER_QUEUES": "maintenance", "YOUT_FAILPOINT": f"delete_expired_outputs:{moment}"}
                with stack.running("worker", killed) as process:
                    await until(lambda: triggered(temporal), "the schedule")
                    assert await asyncio.to_thread(process.wait) == -SIGKILL
            exist = [(stack.state / "media" / folder.prefix).exists() for folder in folders]
            assert exist == [False, False], "the second worker deleted both before it died"
            await world.rows("UPDATE media_jobs SET outputs_deleted_at = NULL WHERE id = %s", folders[0].job_id)
            with stack.running("worker", {"YOUT_WORKER_QUEUES": "maintenance"}):
                for folder in folders:
                    await _triggered_until(temporal, world, folder)
            await world.books_are_clean()

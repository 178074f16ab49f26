"""A process that asks the ledger for one small batch after the other, over holds that others have in hand too."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from multiprocessing.connection import Connection

from db.writer import LedgerWriter
from domain.operations import Adjust, Extend, Grant, Operation, Refund, Renew, Sweep
from tests.support.bank import Customer, reserve, settle, void
from tests.support.ledger.client import RESULT_TIMEOUT, processes
from tests.support.ledger.result_codec import EncodedResult, encode

Pairs = list[tuple[Operation, EncodedResult]]
TURN = 20
"""Batches after which all processes take new holds."""


async def committed(url: str, customers: Sequence[Customer], seed: int, batches: int) -> Pairs:
    """Everything that a process of its own asked, and heard, until it had committed so many batches."""
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_run, args=(url, customers, seed, batches, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        return await asyncio.to_thread(ours.recv)
    finally:
        await asyncio.to_thread(process.join)
        ours.close()


def _run(url: str, customers: Sequence[Customer], seed: int, batches: int, pipe: Connection) -> None:
    pipe.send(asyncio.run(_ask(url, customers, random.Random(seed), batches)))


async def _ask(url: str, customers: Sequence[Customer], dice: random.Random, batches: int) -> Pairs:
    pairs: Pairs = []
    async with LedgerWriter(url, timeout=RESULT_TIMEOUT) as ledger:
        while ledger.batches < batches:
            turn = random.Random(ledger.batches // TURN)  # the same in all processes, at about the same time
            batch = some(customers, [uuid.UUID(int=turn.getrandbits(128)) for _ in range(24)], dice)
            results = await asyncio.gather(*(ledger.submit(operation) for operation in batch))
            pairs += zip(batch, map(encode, results), strict=True)
    return pairs


def some(customers: Sequence[Customer], shared: Sequence[uuid.UUID], dice: random.Random) -> list[Operation]:
    """A small batch over holds that the other processes have in their hands too, each of an account of its own."""
    batch: list[Operation] = []
    for _ in range(dice.choice((1, 1, 2))):
        number = dice.randrange(len(shared))
        customer, hold_id = customers[number % len(customers)], shared[number]
        owner = customer.account_id
        choices: tuple[list[Operation], ...] = (
            [reserve(customer, 30, hold_id)],
            [reserve(customer, 30, hold_id), settle(customer, hold_id, 20)],
            [reserve(customer, 20, uuid.UUID(int=dice.getrandbits(128)))],
            [Extend(hold_id, owner, 60)],
            [Renew(hold_id, 5)],
            [settle(customer, hold_id, 40)],
            [void(customer, hold_id)],
            [Sweep(hold_id, owner)],
            [Refund(hold_id, owner)],
            [Grant(owner, 20, f"grant {dice.random()}")],
            [Adjust(owner, -10, f"adjust {dice.random()}", "why")],
        )
        batch += dice.choice(choices)
    return batch

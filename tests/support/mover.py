"""A process that moves an account's credits in transactions that take their time: `python -m … url account rounds`."""

import asyncio
import random
import sys
from uuid import UUID, uuid4

import psycopg

from db import ledger
from domain.operations import Adjust, Grant, Operation


async def move(url: str, account_id: UUID, rounds: int) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for _ in range(rounds):
            operations: list[Operation] = [Grant(account_id, random.randint(5, 9), f"grant:{uuid4()}")]
            if random.random() < 0.5:
                operations.append(Adjust(account_id, -random.randint(1, 4), f"adjust:{uuid4()}", "A correction."))
            await connection.execute("SELECT 1")  # the transaction begins here, and moves later
            await asyncio.sleep(random.random() / 20)
            await ledger.execute(connection, operations)
            await asyncio.sleep(random.random() / 20)
            await (connection.rollback() if random.random() < 0.1 else connection.commit())
            await asyncio.sleep(random.random() / 50)


if __name__ == "__main__":
    asyncio.run(move(sys.argv[1], UUID(sys.argv[2]), int(sys.argv[3])))

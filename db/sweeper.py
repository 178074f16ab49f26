"""Ends holds whose lease has expired, because the process that renewed it died."""

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy import func, text
from sqlmodel import col, select

from db import ledger
from db.engine import Database, raw
from db.tables import HoldRow
from domain.errors import GatewayError, HoldClosed, ServiceUnavailable
from domain.holds import HoldState
from domain.operations import Sweep
from logs import OperatorFaults

log = structlog.get_logger(__name__)

BATCH = 500
MAX_SINGLE_HOLDS = 100
"""The most holds of an account that are tried one by one in a round, after all of them together have failed."""
MAX_NAMED_HOLDS = 10
FAULT = "expired holds cannot be ended"
_REMEDY = "run `yout audit`: it names what is wrong with these holds, their account or their key"


@dataclass(slots=True)
class _Swept:
    ended: int = 0
    faults: dict[UUID, str] = field(default_factory=dict)
    """Holds that cannot be ended, with the type of the error."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    database: Database
    batch: int = BATCH
    faults: OperatorFaults = field(default_factory=lambda: OperatorFaults(log))

    async def sweep(self) -> int:
        """Settle or release every hold whose lease has expired. Returns how many ended.

        Several processes may run it at once: each hold is checked again under its account's lock. Each account is a
        transaction of its own. A locked account is left for the next round. Holds that cannot be ended are logged, and
        do not delay others.
        """
        ended, left = 0, set[UUID]()
        while True:
            expired = await self._expired(left)
            for account_id, holds in _by_account(expired).items():
                swept = await self._sweep_account(account_id, holds)
                ended += swept.ended
                if swept.ended < len(holds):
                    left.add(account_id)
            if len(expired) < self.batch:
                break
        if ended:
            log.warning("swept expired holds", holds=ended)
        return ended

    async def _expired(self, left: Collection[UUID]) -> list[tuple[UUID, UUID]]:
        query = (
            select(HoldRow.id, HoldRow.account_id)
            .where(HoldRow.state == HoldState.OPEN, col(HoldRow.lease_until) < func.clock_timestamp())
            .where(col(HoldRow.account_id).not_in(left))
            .order_by(col(HoldRow.lease_until))
            .limit(self.batch)
        )
        async with self.database.reading() as session:
            return list((await session.exec(query)).all())

    async def _sweep_account(self, account_id: UUID, holds: list[UUID]) -> _Swept:
        """End all of an account's holds in one transaction. If that fails, end each in its own."""
        where = f"account {account_id}"
        try:
            swept = await self._sweep(account_id, holds)
        except ServiceUnavailable:
            return _Swept()
        except Exception:  # a fault of one hold must not keep the others
            swept = await self._sweep_singly(account_id, holds)
        if swept.faults:
            named = [str(hold_id) for hold_id in list(swept.faults)[:MAX_NAMED_HOLDS]]
            faults = sorted(set(swept.faults.values()))
            self.faults.report(FAULT, where=where, remedy=_REMEDY, holds=named, count=len(swept.faults), faults=faults)
        else:
            self.faults.clear(where)
        return swept

    async def _sweep_singly(self, account_id: UUID, holds: list[UUID]) -> _Swept:
        swept = _Swept()
        for hold_id in random.sample(holds, min(len(holds), MAX_SINGLE_HOLDS)):  # another choice in each round
            try:
                single = await self._sweep(account_id, [hold_id])
            except ServiceUnavailable:
                break
            except Exception as error:
                swept.faults[hold_id] = type(error).__name__
            else:
                swept.ended += single.ended
                swept.faults |= single.faults
        return swept

    async def _sweep(self, account_id: UUID, holds: list[UUID]) -> _Swept:
        async with self.database.transaction() as session:
            await session.exec(text("SET LOCAL lock_timeout = '250ms'"))  # type: ignore[call-overload]
            results = await ledger.execute(await raw(session), [Sweep(hold_id, account_id) for hold_id in holds])
        swept = _Swept()
        for hold_id, result in zip(holds, results, strict=True):
            if not isinstance(result, GatewayError):
                swept.ended += 1
            elif not isinstance(result, HoldClosed):  # a hold that was renewed meanwhile is not a fault
                swept.faults[hold_id] = type(result).__name__
        return swept


def _by_account(expired: list[tuple[UUID, UUID]]) -> dict[UUID, list[UUID]]:
    holds: dict[UUID, list[UUID]] = {}
    for hold_id, account_id in expired:
        holds.setdefault(account_id, []).append(hold_id)
    return holds

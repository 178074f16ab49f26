"""`/healthz` tells that the process is alive, `/readyz` that it can serve. Neither needs a key."""

import asyncio

from fastapi import APIRouter, Response
from starlette.requests import Request

from api.deps import CurrentResources
from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable

router = APIRouter(tags=["health"])
MAX_SILENCE_SECONDS = 2.0


@router.get("/healthz", summary="200 while the process runs, whatever else is away")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


async def answers(database: Database) -> bool:
    """False also when it does not say so in time: to end a query on a server that is frozen takes longer than that."""
    checking = asyncio.create_task(database.check_writable(), name="readiness")
    done, _ = await asyncio.wait([checking], timeout=MAX_SILENCE_SECONDS)
    if not done:
        checking.cancel()
        return False
    if isinstance(fault := checking.exception(), ServiceUnavailable):
        return False
    if fault is not None:
        raise fault
    return True


@router.get("/readyz", responses={503: {"model": dict[str, str], "description": "It cannot serve now"}})
async def readyz(request: Request, resources: CurrentResources, response: Response) -> dict[str, str]:
    """503 while PostgreSQL is unavailable or read-only, or while the process is stopping.

    The answer names Temporal's state, which does not change the status: chat works without Temporal.
    """
    ledger: LedgerWriter = request.app.state.ledger
    database = "ok" if ledger.available and await answers(resources.database) else "away"
    ready = database == "ok" and not resources.stopping
    response.status_code = 200 if ready else 503
    temporal = "ok" if await resources.temporal_answers() else "away"
    return {"status": "ready" if ready else "not ready", "database": database, "temporal": temporal}

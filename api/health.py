"""`/healthz` tells that the process is alive, `/readyz` that it can serve. Neither needs a key."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from api.deps import CurrentResources
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": dict[str, str], "description": "It cannot serve now"}})
async def readyz(request: Request, resources: CurrentResources, response: Response) -> dict[str, str]:
    """503 while PostgreSQL is unavailable or read-only, or while the process is stopping.

    The answer names Temporal's state, which does not change the status: chat works without Temporal.
    """
    ledger: LedgerWriter = request.app.state.ledger
    try:
        await resources.database.check_writable()
        database = "ok" if ledger.available else "away"
    except ServiceUnavailable:
        database = "away"
    ready = database == "ok" and not resources.stopping
    response.status_code = 200 if ready else 503
    temporal = "ok" if await resources.temporal_answers() else "away"
    return {"status": "ready" if ready else "not ready", "database": database, "temporal": temporal}

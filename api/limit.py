"""`GET /api/chat/limit/`: what the account can spend now, and what is held."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import AnyCaller, Held
from db import accounts

router = APIRouter(prefix="/api/chat/limit", tags=["billing"])


class Limit(BaseModel):
    balance: int
    held: int
    plan: str | None
    plan_active: bool


@router.get("/")
async def limit(caller: AnyCaller, held: Held) -> Limit:
    """`balance` is without what is held by calls and jobs in flight."""
    async with held.database.reading() as session:
        found = await accounts.balance(session, caller.account_id)
    return Limit(balance=found.available, held=found.held, plan=found.plan, plan_active=found.plan_active)

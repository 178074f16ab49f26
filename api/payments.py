"""`POST /api/billing/stripe/webhook/`: Stripe tells what was paid. Its signature is the authentication."""

from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from api import body
from api.deps import CurrentResources

router = APIRouter(prefix="/api/billing/stripe", tags=["billing"])
MAX_EVENT_BYTES = 512 * 1024


class Received(BaseModel):
    received: bool = True
    processed: bool
    """False: it was processed before, or it is of a kind that means nothing here."""


@router.post("/webhook/")
async def webhook(
    request: Request,
    resources: CurrentResources,
    stripe_signature: Annotated[str, Header(description="Stripe's signature of the body.")] = "",
) -> Received:
    """An event of Stripe. It is answered when what follows from it is committed; sent again, it changes nothing."""
    async with AsyncExitStack() as stack:

        async def large() -> None:
            network = resources.addresses.network_of(request.scope)
            await stack.enter_async_context(resources.large_events.slot(network))

        raw = await body.read(request.receive, large=large, max_bytes=MAX_EVENT_BYTES)
    return Received(processed=await resources.payments.receive(raw, stripe_signature))

"""`yout webhooks`: endpoints of all accounts, for their operator. URLs and secrets are sealed, and not shown."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from cli.database import account_id, reading, writing
from cli.groups import Group
from cli.terminal import as_json, limit, print_json, print_table, say

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.webhook_tables import EventRow, WebhookDeliveryRow, WebhookEndpointRow
    from gateway.delivery_log import Delivery

endpoint_id = click.argument("endpoint", type=click.UUID)


@click.group(cls=Group)
def webhooks() -> None:
    """Webhook endpoints and their deliveries."""


@webhooks.command("list")
@click.option("--account", help="Of this account alone: its id, or its owner's e-mail.")
@limit
@as_json
def webhooks_list(account: str | None, limit: int, as_json: bool) -> None:
    """Endpoints, the newest first, and how many deliveries wait for each."""
    from db import webhook_lists

    owner = account_id(account) if account is not None else None
    endpoints = reading(lambda session: webhook_lists.endpoints(session, owner, limit))
    rows = [_endpoint(row) | {"pending": waiting} for row, waiting in endpoints]
    if as_json:
        print_json(rows)
        return
    heads = ("endpoint", "account", "state", "failing since", "pending", "created")
    names = ("id", "account_id", "state", "failing_since", "pending", "created_at")
    print_table(heads, [tuple(_cell(row[name]) for name in names) for row in rows], numbers=("pending",))


@webhooks.command("show")
@endpoint_id
@limit
@as_json
def webhooks_show(endpoint: UUID, limit: int, as_json: bool) -> None:
    """One endpoint, and its newest deliveries with the last attempt of each."""
    from db import webhook_lists

    async def work(session: "AsyncSession") -> dict[str, Any]:
        row = await webhook_lists.endpoint(session, endpoint)
        sent = await webhook_lists.deliveries(session, endpoint, limit)
        return _endpoint(row) | {"deliveries": [_delivery(*one) for one in sent]}

    shown = reading(work)
    if as_json:
        print_json(shown)
        return
    sent = shown.pop("deliveries")
    width = max(map(len, shown))
    for name, value in shown.items():
        say(f"{name:<{width}}  {_cell(value)}")
    heads = ("delivery", "event", "state", "attempts", "last", "next")
    names = ("id", "event", "state", "attempts", "last_answer", "next_attempt_at")
    print_table(heads, [tuple(_cell(row[name]) for name in names) for row in sent], numbers=("attempts",))


@webhooks.command("disable")
@endpoint_id
@as_json
def webhooks_disable(endpoint: UUID, as_json: bool) -> None:
    """Switch an endpoint off. What is pending there is cancelled, and the owner's other endpoints are told."""
    from db import webhook_lists
    from domain.webhooks import DisabledReason
    from gateway.deliveries import disable

    async def work(session: "AsyncSession") -> dict[str, Any]:
        row = await webhook_lists.endpoint(session, endpoint, lock=True)
        if row.enabled:
            await disable(session, row, DisabledReason.OPERATOR)
        return _endpoint(row)

    shown = writing(work)
    if as_json:
        print_json(shown)
        return
    say(f"{shown['state']} since {_cell(shown['disabled_at'])}")


@webhooks.command("redeliver")
@click.argument("delivery", type=click.UUID)
@as_json
def webhooks_redeliver(delivery: UUID, as_json: bool) -> None:
    """Send a delivery again, now, with the same `webhook-id`: a worker begins within seconds."""
    from db import webhook_lists
    from gateway.delivery_log import redeliver

    async def work(session: "AsyncSession") -> "Delivery":
        return await redeliver(session, await webhook_lists.owner_of(session, delivery), delivery)

    sent = writing(work)
    if as_json:
        print_json({"id": sent.id, "event": sent.event, "endpoint_id": sent.endpoint_id, "state": sent.state})
        return
    say(f"{sent.state}: {sent.event} ({sent.id})")


def _endpoint(row: "WebhookEndpointRow") -> dict[str, Any]:
    return {
        "id": row.id,
        "account_id": row.account_id,
        "events": row.types,
        "state": "enabled" if row.enabled else f"disabled ({row.disabled_reason})",
        "disabled_at": row.disabled_at,
        "failing_since": row.failing_since,
        "created_at": row.created_at,
    }


def _delivery(row: "WebhookDeliveryRow", event: "EventRow") -> dict[str, Any]:
    last = row.attempts[-1] if row.attempts else {}
    return {
        "id": row.id,
        "event": event.type,
        "state": row.state,
        "attempts": len(row.attempts),
        "last_answer": last.get("status") or last.get("error"),
        "created_at": row.created_at,
        "next_attempt_at": row.next_attempt_at,
    }


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)[:36]

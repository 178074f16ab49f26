"""`/api/webhooks/…`: endpoints that are told what happens, their secrets, and the log of deliveries."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import auth
from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayManageWebhooks
from api.idempotency import REPLAYED
from api.pages import CursorQuery, id_cursor, read_id
from domain.errors import RequestInvalid
from domain.webhooks import MAX_OVERLAP, OVERLAP, EventType
from gateway.delivery_log import Delivery, DeliveryPage
from gateway.webhooks import Endpoint, EndpointEdit, EndpointOrder, LastDelivery, LiveSecret

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"], route_class=StrictRoute)

MAX_URL = 2048
TYPES = tuple(kind for kind in EventType if kind is not EventType.WEBHOOK_TEST)
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL)]
Description = Annotated[str | None, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Types = Annotated[list[str] | None, Field(min_length=1, max_length=len(TYPES))]


class CreateEndpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url = Field(repr=False)
    """https, port 443 or 8443, with public addresses only."""
    description: Description = Field(default=None, repr=False)
    events: Types = None
    """The types of events that it gets. Null: all."""
    enabled: bool = True


class ChangeEndpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url | None = Field(default=None, repr=False)
    description: Description = Field(default=None, repr=False)
    events: Types = None
    enabled: bool | None = None

    def edit(self) -> EndpointEdit:
        """Return what the body sets. Raises `RequestInvalid` for a null where there must be a value."""
        edit = EndpointEdit()
        for name in self.model_fields_set & {"url", "enabled"}:
            if getattr(self, name) is None:
                raise RequestInvalid(f"'{name}' must not be null.", param=name)
        if self.url is not None:
            edit["url"] = self.url
        if self.enabled is not None:
            edit["enabled"] = self.enabled
        if "description" in self.model_fields_set:
            edit["description"] = self.description
        if "events" in self.model_fields_set:
            edit["types"] = _known(self.events)
        return edit


class RotateSecret(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_seconds: Annotated[int, Field(ge=0, le=int(MAX_OVERLAP.total_seconds()))] = int(OVERLAP.total_seconds())
    """So long the secret before signs as well."""


class ChangeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    credits_low: Annotated[int, Field(ge=1, le=2**53)] | None
    """`credits.low` is sent when the balance, held credits included, falls below this. Null: never."""


class SecretView(BaseModel):
    """A secret that signs, without itself."""

    created_at: datetime
    expires_at: datetime | None


class LastDeliveryView(BaseModel):
    id: UUID
    status: str
    created_at: datetime | None
    next_attempt_at: datetime | None


class EndpointView(BaseModel):
    id: UUID
    url: str = Field(repr=False)
    description: str | None = Field(repr=False)
    events: list[str] | None
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    """`owner`, `operator`, `gone` (it answered 410) or `failing` (all attempts of five days failed)."""
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    secrets: list[SecretView] = Field(repr=False)
    last_delivery: LastDeliveryView | None


class CreatedEndpoint(EndpointView):
    secret: str = Field(repr=False)
    """`whsec_…`: in this answer only."""


class EndpointList(BaseModel):
    data: list[EndpointView]
    has_more: bool
    next: str | None


class NewSecret(BaseModel):
    secret: str = Field(repr=False)
    """`whsec_…`: in this answer only."""
    secrets: list[SecretView] = Field(repr=False)


class SettingsView(BaseModel):
    credits_low: int | None
    secrets: list[SecretView] = Field(repr=False)
    """Of the secret that signs what is sent to a job's `webhook_url`."""


class DeliveryView(BaseModel):
    id: UUID
    message_id: str
    """The `webhook-id` of every attempt."""
    event: str
    endpoint_id: UUID | None
    """Null: it goes to the `webhook_url` of one job."""
    subject_id: UUID | None
    status: str
    """`pending`, `delivered`, `failed` or `cancelled`."""
    attempts: list[dict[str, Any]] = Field(repr=False)
    """Time (`at`), `status`, `latency_ms`, and `error` if there was no status."""
    created_at: datetime | None
    next_attempt_at: datetime | None
    ended_at: datetime | None


class DeliveryDetail(DeliveryView):
    body: str = Field(repr=False)
    """The message, byte for byte."""


class DeliveryList(BaseModel):
    data: list[DeliveryView]
    has_more: bool
    next: str | None


@router.get("/")
async def list_endpoints(caller: MayManageWebhooks, resources: CurrentResources) -> EndpointList:
    """List the account's webhook endpoints, the newest first."""
    listed = await resources.webhooks.listed(caller.account_id)
    return EndpointList(data=[_view(one) for one in listed], has_more=False, next=None)


@router.post("/", status_code=201)
async def create_endpoint(
    body: CreateEndpoint,
    caller: MayManageWebhooks,
    resources: CurrentResources,
    idempotent: IdempotencyKey,
    response: Response,
) -> CreatedEndpoint:
    """Register a URL. The answer has its signing secret, and no other answer does."""
    order = EndpointOrder(body.url, body.description, _known(body.events), body.enabled)
    endpoint, secret, replayed = await resources.webhooks.create(caller.account_id, order, idempotent)
    response.headers.update(REPLAYED if replayed else {})
    return CreatedEndpoint(secret=secret, **_view(endpoint).model_dump())


@router.get("/settings/")
async def get_settings(caller: MayManageWebhooks, resources: CurrentResources) -> SettingsView:
    settings = await resources.webhooks.settings(caller.account_id)
    return SettingsView(credits_low=settings.credits_low, secrets=_secrets(settings.secrets))


@router.patch("/settings/")
async def change_settings(body: ChangeSettings, caller: MayManageWebhooks, resources: CurrentResources) -> SettingsView:
    await resources.webhooks.set_credits_low(caller.account_id, body.credits_low)
    return await get_settings(caller, resources)


@router.post("/settings/rotate-secret/")
async def rotate_account_secret(
    body: RotateSecret, caller: MayManageWebhooks, resources: CurrentResources
) -> NewSecret:
    """Make a new secret for what is sent to the `webhook_url` of jobs. The one before signs for a while, too."""
    secret = await resources.webhooks.rotate(caller.account_id, None, timedelta(seconds=body.overlap_seconds))
    settings = await resources.webhooks.settings(caller.account_id)
    return NewSecret(secret=secret, secrets=_secrets(settings.secrets))


@router.get("/deliveries/")
async def list_deliveries(
    caller: MayManageWebhooks, resources: CurrentResources, query: Annotated[CursorQuery, Query()]
) -> DeliveryList:
    """List deliveries to all endpoints and to URLs of jobs, the newest first."""
    return _page(await resources.delivery_log.listed(caller.account_id, None, read_id(query.cursor), query.limit))


@router.get("/deliveries/{delivery_id}/")
async def get_delivery(delivery_id: UUID, caller: MayManageWebhooks, resources: CurrentResources) -> DeliveryDetail:
    """Read a delivery with the body that was sent. The log is deleted after 30 days."""
    delivery, body = await resources.delivery_log.find(caller.account_id, delivery_id)
    return DeliveryDetail(body=body.decode(), **_delivery(delivery).model_dump())


@router.post("/deliveries/{delivery_id}/redeliver/", status_code=202)
async def redeliver(
    request: Request, delivery_id: UUID, caller: MayManageWebhooks, resources: CurrentResources
) -> DeliveryView:
    """Send a delivery again, now, with the same `webhook-id`, and as often as a new one."""
    await auth.admit(request.scope, caller)
    return _delivery(await resources.delivery_log.redeliver(caller.account_id, delivery_id))


@router.get("/{endpoint_id}/")
async def get_endpoint(endpoint_id: UUID, caller: MayManageWebhooks, resources: CurrentResources) -> EndpointView:
    return _view(await resources.webhooks.find(caller.account_id, endpoint_id))


@router.patch("/{endpoint_id}/")
async def change_endpoint(
    endpoint_id: UUID, body: ChangeEndpoint, caller: MayManageWebhooks, resources: CurrentResources
) -> EndpointView:
    """Change an endpoint, or switch it off or on. What is pending goes to the new URL."""
    return _view(await resources.webhooks.change(caller.account_id, endpoint_id, body.edit()))


@router.delete("/{endpoint_id}/", status_code=204)
async def delete_endpoint(endpoint_id: UUID, caller: MayManageWebhooks, resources: CurrentResources) -> None:
    """Delete an endpoint with its secrets and its log. What is pending is not sent."""
    await resources.webhooks.delete(caller.account_id, endpoint_id)


@router.post("/{endpoint_id}/rotate-secret/")
async def rotate_secret(
    endpoint_id: UUID, body: RotateSecret, caller: MayManageWebhooks, resources: CurrentResources
) -> NewSecret:
    """Make a new secret. The one before signs for `overlap_seconds`, too: two are live at most."""
    overlap = timedelta(seconds=body.overlap_seconds)
    secret = await resources.webhooks.rotate(caller.account_id, endpoint_id, overlap)
    endpoint = await resources.webhooks.find(caller.account_id, endpoint_id)
    return NewSecret(secret=secret, secrets=_secrets(endpoint.secrets))


@router.post("/{endpoint_id}/test/", status_code=202)
async def send_test(
    request: Request, endpoint_id: UUID, caller: MayManageWebhooks, resources: CurrentResources
) -> DeliveryView:
    """Send a `webhook.test` event to this endpoint, whatever types it gets."""
    await auth.admit(request.scope, caller)
    delivery_id = await resources.webhooks.test(caller.account_id, endpoint_id)
    return _delivery((await resources.delivery_log.find(caller.account_id, delivery_id))[0])


@router.get("/{endpoint_id}/deliveries/")
async def list_endpoint_deliveries(
    endpoint_id: UUID, caller: MayManageWebhooks, resources: CurrentResources, query: Annotated[CursorQuery, Query()]
) -> DeliveryList:
    """List the deliveries to one endpoint, the newest first."""
    position = read_id(query.cursor)
    return _page(await resources.delivery_log.listed(caller.account_id, endpoint_id, position, query.limit))


def _known(types: list[str] | None) -> list[str] | None:
    if types is not None and set(types) - set(TYPES):
        raise RequestInvalid(f"'events' knows {', '.join(TYPES)}.", param="events")
    return None if types is None else sorted(set(types))


def _secrets(live: Sequence[LiveSecret]) -> list[SecretView]:
    return [SecretView(created_at=one.created_at, expires_at=one.expires_at) for one in live]


def _view(endpoint: Endpoint) -> EndpointView:
    last = endpoint.last_delivery
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        events=endpoint.types,
        enabled=endpoint.enabled,
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        secrets=_secrets(endpoint.secrets),
        last_delivery=None if last is None else _last(last),
    )


def _last(last: LastDelivery) -> LastDeliveryView:
    return LastDeliveryView(
        id=last.id, status=last.state, created_at=last.created_at, next_attempt_at=last.next_attempt_at
    )


def _delivery(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        message_id=delivery.message_id,
        event=delivery.event,
        endpoint_id=delivery.endpoint_id,
        subject_id=delivery.subject,
        status=delivery.state,
        attempts=list(delivery.attempts),
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at,
        ended_at=delivery.ended_at,
    )


def _page(page: DeliveryPage) -> DeliveryList:
    data = [_delivery(one) for one in page.data]
    return DeliveryList(data=data, has_more=page.next is not None, next=id_cursor(page.next))

"""How each error of a call is provoked on a running stack, by the kind of the error."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from db.sweeper import Sweeper
from domain import errors
from domain.errors import GatewayError
from tests.support import faulty_api
from tests.support.account_client import AccountClient
from tests.support.doubles.entries import embedding_model, text_model
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.sdk_errors import SdkWire
from tests.support.stack import Stack, eventually

CREDITS = 1_000_000
MAX_BODY_BYTES = 100_000
SETTINGS = {
    "YOUT_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    "YOUT_VISITOR_MESSAGES_DAY": "1",
    "YOUT_MAX_UPLOADS_MIB": "1",
}
LONG = "word " * 3000
Rewrite = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class World:
    stack: Stack
    upstream: OpenAIServer
    open_account: Callable[[int], Awaitable[AccountClient]]
    running: list[asyncio.Task[Any]] = field(default_factory=list)
    """Calls that were begun, and are answered later."""

    def begin(self, call: Coroutine[Any, Any, Any]) -> None:
        self.running.append(asyncio.create_task(call))

    async def reached(self, before: int) -> None:
        """Wait for one more request at the provider."""

        async def arrived() -> bool:
            return len(self.upstream.seen) > before

        assert await eventually(arrived)

    async def sql(self, query: str, *values: Any) -> None:
        async with await psycopg.AsyncConnection.connect(self.stack.owner_url, autocommit=True) as connection:
            await connection.execute(query, values)


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that is going to fail."""

    key: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    rewrite: Rewrite | None = None
    """What the SDK would not send: makes the body that goes out, an object or bytes, of the SDK's."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens while the provider is at work."""


Provoke = Callable[[World, SdkWire, bool], Awaitable[Ask]]


@dataclass(frozen=True, slots=True)
class Provoked:
    kind: type[GatewayError]
    code: str
    provoke: Provoke
    param: str | Callable[[SdkWire], str] | None = None
    modes: tuple[bool, ...] = (False, True)
    """Whole and streamed."""
    wires: frozenset[str] = frozenset({"chat", "completions", "responses", "embeddings", "messages"})

    def __str__(self) -> str:
        return f"{self.kind.__name__}-{self.code}"

    def param_on(self, wire: SdkWire) -> str | None:
        return self.param(wire) if callable(self.param) else self.param


def of_model(model: str, text: str = "", **fields: Any) -> Provoke:
    """A call of this model, with these fields."""

    async def provoke(world: World, wire: SdkWire, _: bool) -> Ask:
        account = await world.open_account(CREDITS)
        body = wire.body(model, text) if text else wire.body(model)
        return Ask(account.customer.token, body | fields)

    return provoke


def rewritten(rewrite: Rewrite) -> Provoke:
    async def provoke(world: World, wire: SdkWire, _: bool) -> Ask:
        return Ask((await world.open_account(CREDITS)).customer.token, wire.body("plain"), rewrite=rewrite)

    return provoke


def _without_model(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "model"}


async def _by_a_stranger(_: World, wire: SdkWire, __: bool) -> Ask:
    return Ask("yout-nobody", wire.body("plain"))


def with_key(calls_before: int = 0, **order: Any) -> Provoke:
    """A call with a key of its own, after so many calls that are answered."""

    async def provoke(world: World, wire: SdkWire, _: bool) -> Ask:
        owner = await world.open_account(CREDITS)
        created = await owner.http.post("/api/chat/keys/", json={"name": "narrow"} | order)
        assert created.status_code == 201, created.text
        key = created.json()["key"]
        for _number in range(calls_before):
            first = await owner.http.post(
                wire.path, json=_whole(wire, wire.body("plain")), headers={"authorization": f"Bearer {key}"}
            )
            assert first.status_code == 200, first.text
        return Ask(key, wire.body("plain"))

    return provoke


def _whole(wire: SdkWire, body: Mapping[str, Any]) -> dict[str, Any]:
    return {**body, **({"max_tokens": 500} if wire.of_anthropic else {})}


async def _suspended(world: World, wire: SdkWire, _: bool) -> Ask:
    owner = await world.open_account(CREDITS)
    await world.sql("UPDATE accounts SET suspended_at = now() WHERE id = %s", owner.customer.account_id)
    return Ask(owner.customer.token, wire.body("plain"))


async def _poor(world: World, wire: SdkWire, _: bool) -> Ask:
    return Ask((await world.open_account(1)).customer.token, wire.body("plain"))


async def _another_request(world: World, wire: SdkWire, stream: bool) -> Ask:
    owner, headers = await world.open_account(CREDITS), {"idempotency-key": str(uuid4())}
    body = _whole(wire, wire.body("plain")) | ({"stream": True} if stream else {})
    answer = await owner.http.post(wire.path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return Ask(owner.customer.token, wire.body("plain", "Something else"), headers)


async def _answered_to_another_token(world: World, wire: SdkWire, stream: bool) -> Ask:
    """An answer is sealed for the token that asked. The key's next token cannot open it."""
    owner, headers = await world.open_account(CREDITS), {"idempotency-key": str(uuid4())}
    created = (await owner.http.post("/api/chat/keys/", json={"name": "rotated"})).json()
    body = _whole(wire, wire.body("plain")) | ({"stream": True} if stream else {})
    first = await owner.http.post(wire.path, json=body, headers=headers | {"authorization": f"Bearer {created['key']}"})
    assert first.status_code == 200, first.text
    rotated = await owner.http.post(f"/api/chat/keys/{created['id']}/rotate/", json={})
    assert rotated.status_code == 200, rotated.text
    return Ask(rotated.json()["key"], wire.body("plain"), headers, rewrite=lambda _: body)


async def _still_running(world: World, wire: SdkWire, stream: bool) -> Ask:
    """The same request while the first one is at its provider, which answers in the end."""
    owner, headers = await world.open_account(CREDITS), {"idempotency-key": str(uuid4())}
    body = _whole(wire, wire.body("slow")) | ({"stream": True} if stream else {})
    before = len(world.upstream.seen)
    world.begin(owner.http.post(wire.path, json=body, headers=headers))
    await world.reached(before)
    return Ask(owner.customer.token, body, headers, rewrite=lambda _: body)


async def _purged(world: World, wire: SdkWire, _: bool) -> Ask:
    owner = await world.open_account(CREDITS)

    async def purge() -> None:
        answer = await owner.http.post("/api/chat/purge/", json={"confirm": "erase"})
        assert answer.status_code == 202, answer.text

    return Ask(owner.customer.token, wire.body("slow"), meanwhile=purge)


async def sweep(world: World, owner: AccountClient) -> None:
    """End the holds of an account, as if their process had died."""
    expire = "UPDATE holds SET lease_until = now() - interval '1 minute' WHERE account_id = %s AND state = 'open'"
    open_holds = "SELECT count(*) FROM holds WHERE account_id = %s AND state = 'open'"

    async def ended() -> bool:
        await world.sql(expire, owner.customer.account_id)
        await Sweeper(owner.database).sweep()
        async with owner.database.connection() as connection:
            count = await connection.exec_driver_sql(open_holds, (owner.customer.account_id,))
            return bool(count.scalar_one() == 0)

    assert await eventually(ended)


async def _swept(world: World, wire: SdkWire, stream: bool) -> Ask:
    """A stream finds out while it runs; a whole answer at its end."""
    owner = await world.open_account(CREDITS)

    async def meanwhile() -> None:
        await sweep(world, owner)
        if not stream:
            world.upstream.release.set()

    return Ask(owner.customer.token, wire.body("slow"), meanwhile=meanwhile)


def cut_off(connection: psycopg.Connection[Any], stack: Stack) -> None:
    """Keep a stack from its database, until that allows connections again."""
    name = stack.database_url.rpartition("/")[2]
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (name,)
    )


def _field_of(wire: SdkWire) -> str:
    return wire.input


def _number_of(wire: SdkWire) -> str:
    """A field that is a number."""
    return "temperature" if wire.streams else "dimensions"


def with_number(value: Any) -> Provoke:
    async def provoke(world: World, wire: SdkWire, stream: bool) -> Ask:
        return await of_model("plain", **{_number_of(wire): value})(world, wire, stream)

    return provoke


WITH_STREAMS = frozenset({"chat", "completions", "responses", "messages"})
PROVOKED = (
    Provoked(GatewayError, "internal_error", of_model(faulty_api.OURS)),
    Provoked(errors.CallerUnknown, "invalid_api_key", _by_a_stranger),
    Provoked(errors.ScopeMissing, "insufficient_scope", with_key(scopes=["models"])),
    Provoked(errors.ProRequired, "pro_required", of_model("pro")),
    Provoked(errors.AccountSuspended, "insufficient_scope", _suspended),
    Provoked(errors.InsufficientCredits, "insufficient_credits", _poor),
    Provoked(errors.ModelNotFound, "model_not_found", of_model("nobody"), "model"),
    Provoked(errors.RequestInvalid, "invalid_json", rewritten(lambda body: json.dumps(body).encode()[:-1])),
    Provoked(errors.RequestInvalid, "missing_required_parameter", rewritten(_without_model), "model"),
    Provoked(errors.RequestInvalid, "invalid_type", with_number("hot"), _number_of),
    Provoked(errors.RequestInvalid, "invalid_value", with_number(-7), _number_of),
    Provoked(errors.RequestInvalid, "unsupported_parameter", of_model("plain", privacy="strict"), "privacy"),
    Provoked(errors.ContextLengthExceeded, "context_length_exceeded", of_model("small", LONG), _field_of),
    Provoked(errors.RequestTooLarge, "request_too_large", of_model("plain", "x" * (MAX_BODY_BYTES + 1))),
    Provoked(errors.RateLimited, "rate_limit_exceeded", with_key(1, limits={"requests": 1})),
    Provoked(errors.KeyReused, "idempotency_conflict", _another_request),
    Provoked(errors.AlreadyRunning, "idempotency_in_flight", _still_running),
    Provoked(errors.ReplayGone, "idempotency_conflict", _answered_to_another_token),
    Provoked(errors.EndedByPurge, "purge_in_progress", _purged, modes=(True,), wires=WITH_STREAMS),
    Provoked(errors.HoldClosed, "internal_error", _swept, modes=(True,), wires=WITH_STREAMS),
    Provoked(errors.HoldVoided, "internal_error", _swept, modes=(False,)),
    Provoked(errors.UpstreamError, "upstream_error", of_model("broken")),
    Provoked(errors.UpstreamTimeout, "upstream_timeout", of_model("hang")),
    Provoked(errors.AdapterFault, "upstream_error", of_model("adapter")),
    Provoked(errors.RetentionDenied, "upstream_error", of_model("retains", privacy="strict")),
    Provoked(errors.UpstreamBusy, "rate_limit_exceeded", of_model("busy")),
)


def catalog(upstream: str) -> str:
    providers = f"""
[providers.foreign]
kind = "openai"
base_url = "{upstream}"

[providers.hasty]
kind = "openai"
base_url = "{upstream}"
timeouts = {{ first_byte = 1, total = 1 }}

[providers.brief]
kind = "openai"
base_url = "{upstream}"
timeouts = {{ idle = 1, total = 4 }}

[providers.metered]
kind = "openai"
base_url = "{upstream}"
capabilities = ["abort_stops_billing", "meterable"]

[providers.vowed]
kind = "openai"
base_url = "{upstream}"
privacy = "zero_retention"

[providers.slow]
kind = "openai"
base_url = "{upstream}"

[plans.pro]
credits_per_month = 5000
stripe = ["price_pro"]

[payments]
credits_per_unit = {{ usd = 100 }}
"""
    behaviours = {name: f"foreign/{name}" for name in ("plain", "broken", "busy")}
    behaviours |= {"slow": "slow/hang", "hang": "hasty/hang"}
    behaviours["retains"] = "vowed/retains"
    behaviours["adapter"] = f"foreign/{faulty_api.ADAPTERS}"
    written = [providers]
    for name, route in behaviours.items():
        provider, model = route.split("/")
        embedder = model if model == faulty_api.ADAPTERS else "embed" if model == "plain" else f"embed-{model}"
        written += [text_model(f"test-{name}", route), embedding_model(f"test-embed-{name}", f"{provider}/{embedder}")]
    written.append(text_model("test-pro", "foreign/plain", more="pro_only = true"))
    written.append(embedding_model("test-embed-pro", "foreign/embed").replace("routes", "pro_only = true\nroutes"))
    written.append(text_model("test-small", "foreign/plain").replace("100000", "2000").replace("4000", "500"))
    written.append(embedding_model("test-embed-small", "foreign/embed", window=2000))
    scripts = ("breaks", "cut", "faults", "finishing", "ends")
    broken = {name: f"slow/{name}" for name in scripts} | {"hangs": "brief/hangs", "endless": "brief/endless"}
    written += [text_model(f"test-{name}", route) for name, route in broken.items()]
    written.append(text_model("test-growing", "metered/endless"))
    written.append(text_model("test-free", "foreign/plain", more='tags = ["free"]'))
    return "".join(written)

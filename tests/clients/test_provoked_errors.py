"""Each error of the table, provoked on a running stack and seen by the program that called: on every endpoint that can
give it, through OpenAI's and Anthropic's SDKs, whole and streamed.
"""

import asyncio
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import openai
import psycopg
import pytest
from psycopg import sql
from sqlmodel import select

from api.error_codes import OF_JOBS, TABLE, Repeat, codes_of
from db.data_keys import Sealing
from db.media import MediaJobs
from db.media_tables import MediaJobRow
from dev.postgres import EmbeddedPostgres
from domain import errors
from domain.errors import GatewayError
from domain.media import JobError, State
from domain.operations import Adjust, Grant
from domain.sealing import Wrapping
from tests.support import provoked
from tests.support.media_samples import picture
from tests.support.provoked import PROVOKED, Ask, Provoked, World
from tests.support.sdk_errors import WIRES, SdkWire, Seen, of_openai
from tests.support.signed_in import cookie_of
from tests.support.stack import SECRET, eventually


class Rewriting(httpx2.AsyncHTTPTransport):
    """Sends other bodies than the SDK has written, if it is to."""

    def __init__(self, rewrite: provoked.Rewrite | None) -> None:
        super().__init__(verify=False)  # which takes a while to prepare
        self._rewrite = rewrite

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._rewrite is None:
            return await super().handle_async_request(request)
        body = self._rewrite(json.loads(await request.aread()))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        return await super().handle_async_request(
            httpx2.Request(request.method, request.url, headers=headers, content=content)
        )


async def seen(world: World, wire: SdkWire, ask: Ask, *, stream: bool) -> Seen:
    http = httpx2.AsyncClient(transport=Rewriting(ask.rewrite), timeout=60)
    more: dict[str, Any] = {"extra_headers": dict(ask.headers)} | ({"stream": True} if stream else {})
    before = len(world.upstream.seen)
    async with http:
        failing = asyncio.create_task(wire.error(wire.client(world.stack.url, ask.key, http), ask.body, **more))
        if ask.meanwhile is not None:
            await world.reached(before)
            await ask.meanwhile()
        return await asyncio.wait_for(failing, 30)


@pytest.mark.parametrize("wire", WIRES, ids=str)
@pytest.mark.parametrize("case", PROVOKED, ids=str)
async def test_an_error_as_its_sdk_raises_it(world: World, case: Provoked, wire: SdkWire) -> None:
    modes = [mode for mode in case.modes if (wire.streams or not mode) and wire.name in case.wires]
    for stream in modes:
        ask = await case.provoke(world, wire, stream)
        error = await seen(world, wire, ask, stream=stream)
        row = TABLE[case.kind]
        assert (error.status, error.code) == (row.status, case.code)
        assert error.param == case.param_on(wire)
        assert "SECRET" not in error.message
        assert error.retried == (row.repeat in (Repeat.LATER, Repeat.AT_ONCE))
        assert ("retry-after" in error.headers) == (row.repeat is Repeat.LATER), error.headers


@dataclass(frozen=True, slots=True)
class Other:
    """A request to another endpoint, which fails."""

    kind: type[GatewayError]
    code: str | None
    path: str
    body: Any = None
    param: str | None = None
    key: str = ""
    """Of the scopes and limits that are named so; else the account's first key, or none for `nobody`."""
    times: int = 1
    """Requests, of which the last one fails."""
    cookie: bool = False

    def __str__(self) -> str:
        return f"{self.kind.__name__}-{self.path}"


LINK = "/media/jobs/0.png?exp=1&sig=x"
WIDE = {"name": "wide", "scopes": ["chat"], "models": ["test-plain", "test-free"]}
SAY = {"model": "test-free", "message": "Hello"}
MESSAGES = [{"role": "user", "content": "long " * 250_000}]
OTHERS = (
    Other(errors.SignInRequired, "invalid_api_key", "/api/chat/stream/", SAY | {"model": "test-plain"}, key="nobody"),
    Other(errors.AllowanceUsedUp, "insufficient_credits", "/api/chat/stream/", SAY, key="nobody", times=2),
    Other(errors.CrossSite, "insufficient_scope", "/api/chat/share/", {"messages": []}, key="nobody", cookie=True),
    Other(
        errors.SignInFailed,
        "invalid_value",
        "/api/auth/login/",
        {"email": "a@b.test", "password": "x" * 20},
        key="nobody",
    ),
    Other(errors.LinkUnusable, "invalid_value", "/api/auth/verify/", {"token": "x" * 43}, "token", key="nobody"),
    Other(errors.LinkInvalid, "invalid_value", LINK, key="nobody"),
    Other(errors.AuthorityExceeded, "insufficient_scope", "/api/chat/keys/", WIDE, "models", key="limited"),
    Other(errors.NotFound, None, f"/api/media/jobs/{uuid.UUID(int=1)}/"),
    Other(errors.RequestTooLarge, "request_too_large", "/api/chat/share/", {"messages": MESSAGES}),
)


@pytest.mark.parametrize("case", OTHERS, ids=str)
async def test_an_error_of_another_endpoint(world: World, case: Other) -> None:
    owner = await world.open_account(provoked.CREDITS)
    key, headers = owner.customer.token, dict[str, Any]()
    if case.key == "limited":
        created = await owner.http.post(
            "/api/chat/keys/", json={"name": "limited", "models": ["test-plain"], "scopes": ["keys", "chat"]}
        )
        key = created.json()["key"]
    elif case.key:
        headers["authorization"] = openai.Omit()
    if case.cookie:
        headers |= {"cookie": f"yout={await cookie_of(owner.database, owner.customer.account_id)}"}
    async with httpx2.AsyncClient(transport=Rewriting(None), timeout=60) as http:
        client = openai.AsyncOpenAI(api_key=key, base_url=world.stack.url, http_client=http, max_retries=0)
        for _ in range(case.times - 1):
            answered = await http.post(world.stack.url + case.path, json=case.body)
            assert answered.status_code == 200, answered.text
        send = client.get if case.body is None else partial(client.post, body=case.body)
        with pytest.raises(openai.APIStatusError) as raised:
            await send(case.path, cast_to=object, options={"headers": headers})
        error, row = of_openai(client, raised.value), TABLE[case.kind]
    assert (error.status, error.code, error.param) == (row.status, case.code, case.param)
    assert error.retried == (row.repeat in (Repeat.LATER, Repeat.AT_ONCE))


JOB_ERRORS: tuple[tuple[State, GatewayError], ...] = (
    (State.FAILED, errors.JobFailed()),
    (State.FAILED, errors.ContentPolicyViolation()),
    (State.CANCELLED, errors.JobFailed()),
)


@pytest.mark.parametrize(("state", "error"), JOB_ERRORS)
async def test_an_error_of_a_job(world: World, state: State, error: GatewayError) -> None:
    """No worker runs here: the job is ended by hand while its request waits."""
    owner = await world.open_account(provoked.CREDITS)
    jobs = MediaJobs(owner.database, Sealing(Wrapping.of(SECRET)), output_lifetime=timedelta(hours=1))
    body, headers = {"model": "demo-image", "prompt": "x"}, {"idempotency-key": "of a job"}
    waiting = asyncio.create_task(owner.http.post("/v1/images/generations", json=body, headers=headers))

    async def accepted() -> list[Any]:
        async with owner.database.reading() as session:
            query = select(MediaJobRow.id).where(MediaJobRow.account_id == owner.customer.account_id)
            return list(await session.exec(query))

    (job_id,) = await eventually(accepted)
    failed = JobError(code=error.code, message=error.message)
    await jobs.end(job_id, state, failed if state is State.FAILED else None)
    answers = [await waiting, await owner.http.post("/v1/images/generations", json=body, headers=headers)]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (TABLE[type(error)].status, error.code)
        if isinstance(error, errors.JobFailed):
            assert (answer.headers["x-should-retry"], answer.headers["x-yout-job-id"]) == ("false", str(job_id))


async def test_an_account_has_so_much_space(world: World) -> None:
    owner = await world.open_account(provoked.CREDITS)
    answers = [await owner.http.post("/api/media/uploads/", content=picture().ljust(600_000, b"\0")) for _ in range(2)]
    error = answers[1].json()["error"]
    assert [answer.status_code for answer in answers] == [201, TABLE[errors.StorageFull].status]
    assert (error["code"], error["param"]) == (errors.StorageFull.code, None)


OF_AN_OPERATOR = (errors.BelowZero, errors.AmountTooLarge)
"""What the ledger answers to an operator's command alone."""


async def test_an_error_of_a_command(world: World) -> None:
    owner = await world.open_account(provoked.CREDITS)
    account_id = owner.customer.account_id
    with pytest.raises(errors.BelowZero):
        await owner.ledger.ask(Adjust(account_id, -provoked.CREDITS - 1, "below", "a test"))
    with pytest.raises(errors.AmountTooLarge):
        await owner.ledger.ask(Grant(account_id, 2**62, "above"))


async def test_the_database_is_away(world: World, postgres: EmbeddedPostgres) -> None:
    """The last test of this stack."""
    owner = await world.open_account(provoked.CREDITS)
    name = world.stack.database_url.rpartition("/")[2]
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        provoked.cut_off(connection, world.stack)
        try:
            asks = [(wire, stream) for wire in WIRES for stream in (False, True) if wire.streams or not stream]
            asking = (
                seen(world, wire, Ask(owner.customer.token, wire.body("plain")), stream=stream) for wire, stream in asks
            )
            for error in await asyncio.gather(*asking):
                assert (error.status, error.code, error.param) == (503, "service_unavailable", None)
                assert error.retried
                assert error.headers["retry-after"]
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))


def test_each_code_of_the_table_is_provoked() -> None:
    provoked_here = {(case.kind, case.code) for case in (*PROVOKED, *OTHERS)}
    provoked_here |= {(kind, kind.code) for kind in (*OF_AN_OPERATOR, errors.ServiceUnavailable, errors.StorageFull)}
    provoked_here |= {(type(error), error.code) for _, error in JOB_ERRORS}
    assert {(kind, code) for kind in TABLE.keys() - OF_JOBS for code, _ in codes_of(kind)} == provoked_here

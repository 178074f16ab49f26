"""Input files of jobs from the request to the sealed rows, over a real port, with a host of files behind the guard."""

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import psycopg
import pytest
from aiohttp import web

from db.data_keys import Sealing
from db.job_files import JobFiles
from db.media import MediaJobs
from dev.postgres import EmbeddedPostgres
from domain.media import State
from domain.sealing import Wrapping
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.account_opener import AccountOpener
from tests.support.media_samples import picture
from tests.support.own_stack import own_stack
from tests.support.stack import SECRET, Stack

PATH = "/api/media/image/"
CATALOG = """
[models.lab-edit]
modality = "image"
credits_per_image = 1000
routes = [{ provider = "demo", model = "image" }]
[models.lab-edit.inputs.image]
max = 2
required = true
[models.lab-edit.inputs.mask]
types = ["image/png"]
max_bytes = 20000
"""
EDIT = {"model": "lab-edit", "prompt": "x"}
PNG, WEBP = picture(), picture(form="WEBP")


def data_uri(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = own_stack(
        postgres, tmp_path_factory, "media_inputs", CATALOG, extra={"YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true"}
    )
    with stack.running("api"):
        yield stack


@pytest.fixture(scope="module")
def opener(stack: Stack) -> Iterator[AccountOpener]:
    with AccountOpener.on(stack.database_url) as opened:
        yield opened


class FileHost:
    def __init__(self) -> None:
        self.requests: list[web.Request] = []

    async def serve(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        match request.path:
            case "/moved":
                raise web.HTTPFound("/picture")
            case "/page":
                return web.Response(text="<html>", content_type="text/html")
            case "/forged":
                return web.Response(body=b"<html>", content_type="image/png")
            case "/huge":
                return web.Response(body=PNG.ljust(21 * 2**20, b"\0"), content_type="image/png")
            case "/picture":
                return web.Response(body=PNG, content_type="image/jpg")
        raise web.HTTPNotFound


@pytest.fixture
async def host() -> AsyncIterator[tuple[FileHost, str]]:
    files, app = FileHost(), web.Application()
    app.router.add_get("/{path:.*}", files.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield files, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def edit(owner: AccountClient, once: str = "", **fields: Any) -> httpx2.Response:
    return await owner.http.post(PATH, json=EDIT | fields, headers={"idempotency-key": once} if once else {})


async def inputs_of(owner: AccountClient, answer: httpx2.Response) -> list[tuple[str, str, bytes]]:
    assert answer.status_code == 202, answer.text
    files = await JobFiles(owner.database, Sealing(Wrapping.of(SECRET))).of(answer.json()["job_uuid"])
    return [(file.role, file.content_type, file.content) for file in files]


async def test_files_of_every_kind_are_sealed_with_their_job(
    owner: AccountClient, host: tuple[FileHost, str], stack: Stack
) -> None:
    upload = (await owner.http.post("/api/media/uploads/", content=WEBP)).json()["id"]
    answer = await edit(owner, image=[upload, f"{host[1]}/picture"], mask=data_uri(PNG))
    assert await inputs_of(owner, answer) == [
        ("image", "image/webp", WEBP),
        ("image", "image/png", PNG),
        ("mask", "image/png", PNG),
    ]
    with psycopg.connect(stack.owner_url) as connection:
        for table in ("media_jobs", "job_inputs", "job_files", "idempotency", "uploads"):
            for (row,) in connection.execute(f"SELECT t::text FROM {table} t".encode()).fetchall():
                assert "/picture" not in row
                assert PNG.hex()[32:96] not in row
    assert not {"authorization", "cookie", "referer", "x-forwarded-for"} & {
        name.lower() for name in host[0].requests[-1].headers
    }
    jobs = MediaJobs(owner.database, Sealing(Wrapping.of(SECRET)), output_lifetime=timedelta(days=1))
    await jobs.end(answer.json()["job_uuid"], State.FAILED, None)
    assert await inputs_of(owner, answer) == []


async def test_the_same_request_again_fetches_nothing(owner: AccountClient, host: tuple[FileHost, str]) -> None:
    answers = [await edit(owner, "once", image=f"{host[1]}/picture") for _ in range(2)]
    assert answers[0].json()["job_uuid"] == answers[1].json()["job_uuid"]
    assert (answers[1].headers["idempotent-replayed"], len(host[0].requests)) == ("true", 1)
    other = await edit(owner, "once", image=f"{host[1]}/page")
    assert (other.status_code, len(host[0].requests)) == (422, 1)


@pytest.mark.parametrize("path", ["moved", "page", "huge", "none", "forged"])
async def test_a_url_without_a_file_that_may_be_used_costs_nothing(
    owner: AccountClient, host: tuple[FileHost, str], path: str
) -> None:
    before = (await owner.http.get("/api/chat/limit/")).json()
    answer = await edit(owner, image=f"{host[1]}/{path}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
    assert path not in answer.text
    assert (await owner.http.get("/api/chat/limit/")).json()["balance"] == before["balance"]


async def test_every_url_that_the_guard_refuses_has_one_answer(owner: AccountClient) -> None:
    urls = ("http://10.0.0.1/a", "https://192.168.1.1/", "https://[::ffff:10.0.0.1]/", "https://a:b@c.example/")
    answers = [await edit(owner, image=url) for url in urls]
    texts = {answer.json()["error"]["message"] for answer in answers}
    assert [answer.status_code for answer in answers] == [400] * 4
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "image", "missing_required_parameter"),
        ({"image": [data_uri(PNG)] * 3}, "image", "invalid_value"),
        ({"image": 5}, "image", "invalid_type"),
        ({"image": []}, "image", "invalid_type"),
        ({"image": data_uri(PNG), "mask": data_uri(WEBP)}, "mask", "invalid_value"),
        ({"image": data_uri(PNG), "mask": data_uri(PNG.ljust(20_001))}, "mask", "invalid_value"),
        ({"image": data_uri(PNG), "reference": data_uri(PNG)}, "reference", "unsupported_parameter"),
        ({"image": data_uri(PNG), "colour": "red"}, "colour", "unsupported_parameter"),
    ],
)
async def test_what_the_model_does_not_take_is_named(
    owner: AccountClient, fields: dict[str, Any], param: str, code: str
) -> None:
    error = (await edit(owner, **fields)).json()["error"]
    assert (error["param"], error["code"]) == (param, code)


async def test_nothing_is_fetched_for_who_cannot_pay(new_owner: OpenAccountClient, host: tuple[FileHost, str]) -> None:
    answer = await edit(await new_owner(999), image=f"{host[1]}/picture")
    assert (answer.status_code, answer.json()["error"]["required"], host[0].requests) == (402, 1000, [])

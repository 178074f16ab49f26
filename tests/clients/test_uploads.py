"""Files that are sent before the job which needs them, over a real port."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import psycopg
import pytest

from domain.media_files import MIB
from tests.clients.conftest import OpenAccountClient
from tests.support import edge_requests
from tests.support.account_client import AccountClient
from tests.support.edge_requests import Endpoint
from tests.support.media_samples import picture
from tests.support.stack import Stack

PATH = "/api/media/uploads/"


async def send(owner: AccountClient, content: bytes, content_type: str = "image/png") -> httpx2.Response:
    return await owner.http.post(PATH, content=content, headers={"content-type": content_type})


async def sent(owner: AccountClient, content: bytes) -> dict[str, Any]:
    answer = await send(owner, content)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture
async def rows(stack: Stack) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        yield connection


async def test_an_upload_is_described_by_its_bytes(owner: AccountClient) -> None:
    content = picture(form="JPEG")
    upload = await sent(owner, content)
    assert (upload["content_type"], upload["bytes"], upload["width"], upload["height"]) == (
        "image/jpeg",
        len(content),
        64,
        48,
    )
    assert (await owner.http.get(f"{PATH}{upload['id']}/")).json() == upload
    assert upload in (await owner.http.get(PATH)).json()["data"]


async def test_an_upload_may_be_the_file_of_a_form(owner: AccountClient) -> None:
    """Whatever the form says of its name and its type."""
    content = picture(form="JPEG")
    answer = await owner.http.post(PATH, files={"file": ("../my secret name.svg", content, "image/svg+xml")})
    assert answer.status_code == 201, answer.text
    upload = answer.json()
    assert (upload["content_type"], upload["bytes"]) == ("image/jpeg", len(content))
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("form", "status", "param"),
    [
        ({"files": {"picture": picture()}}, 400, "picture"),
        ({"files": [("file", picture()), ("file", picture())]}, 400, "file"),
        ({"files": {"file": picture()}, "data": {"purpose": "vision"}}, 400, "purpose"),
        ({"files": {"file": b""}}, 400, "file"),
        ({"files": {"file": b"<svg/>"}}, 400, "file"),
        ({"files": {"file": b"\0" * (50 * MIB + 1)}}, 413, "file"),
        ({"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, None),
        ({"content": picture(), "headers": {"content-type": "multipart/form-data"}}, 400, None),
    ],
    ids=["another name", "two files", "a field", "empty", "svg", "too large", "no end", "no boundary"],
)
async def test_a_form_with_anything_else_is_refused(
    owner: AccountClient, form: dict[str, Any], status: int, param: str | None
) -> None:
    answer = await owner.http.post(PATH, **form)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_uploads_are_listed_in_pages_and_deleted(new_owner: OpenAccountClient) -> None:
    owner = await new_owner()
    ids = [(await sent(owner, picture()))["id"] for _ in range(3)]
    first = (await owner.http.get(PATH, params={"limit": 2})).json()
    last = (await owner.http.get(PATH, params={"limit": 2, "cursor": first["next"]})).json()
    assert [one["id"] for one in first["data"] + last["data"]] == ids[::-1]
    assert (first["has_more"], last["has_more"], last["next"]) == (True, False, None)
    for status in (204, 404):
        assert (await owner.http.delete(f"{PATH}{ids[0]}/")).status_code == status
    assert (await owner.http.get(f"{PATH}{ids[0]}/")).status_code == 404
    wrong = await owner.http.get(PATH, params={"cursor": "abcd"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "cursor")


@pytest.mark.parametrize(
    ("content", "status", "param"),
    [
        (b"", 400, "file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "file"),
        (b"GIF89a", 400, "file"),
        (picture()[:16] + (60_000).to_bytes(4, "big") * 2 + picture()[24:], 400, "file"),
    ],
    ids=["empty", "svg", "no size", "pixel bomb"],
)
async def test_what_is_no_file_of_a_job_is_refused(
    owner: AccountClient, content: bytes, status: int, param: str
) -> None:
    answer = await send(owner, content)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_picture_that_is_too_large_is_refused(owner: AccountClient) -> None:
    error = (await send(owner, picture().ljust(20 * MIB + 1, b"\0"))).json()["error"]
    assert (error["param"], error["code"]) == ("file", "invalid_value")


async def test_a_body_that_no_type_allows_is_refused_unread(owner: AccountClient, stack: Stack) -> None:
    head = Endpoint(PATH, {}).head(owner.customer.token, b"Content-Length: %d" % (50 * MIB + 1))
    answer = await edge_requests.send(stack.port, head + b"\r\n")
    assert answer is not None
    assert (answer.status, answer.json()["error"]["param"]) == (413, "file")


async def test_an_account_without_credits_sends_nothing(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(0)
    assert (await send(poor, picture())).status_code == 402


async def test_an_expired_upload_is_gone_and_deleted(owner: AccountClient, rows: psycopg.AsyncConnection) -> None:
    upload = await sent(owner, picture())
    id_ = upload["id"].removeprefix("upload_")
    await rows.execute(
        "UPDATE uploads SET created_at = now() - interval '2 hours', expires_at = now() WHERE id = %s", (id_,)
    )
    assert (await owner.http.get(f"{PATH}{upload['id']}/")).status_code == 404
    assert upload["id"] not in [one["id"] for one in (await owner.http.get(PATH)).json()["data"]]

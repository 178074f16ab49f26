"""The guide and the reference, as pages that need no database: whole, linked, small, without scripts of their own."""

import gzip
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser

import httpx2
import jsonschema
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from tests.support.stack import ROOT
from web import docs, guide, guide_markdown, pages, reference, routes
from web.api import Answer, Server
from web.shares import SharedPages

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = "http://ai.example.com"
MAX_BYTES = 25 * 1024
ADDRESSES = ["/docs", "/docs/api", *(f"/docs/api/{tag}" for tag in reference.TAGS), *guide.topics()]
SERVED = [compile_path(page.path)[0] for page in routes.PAGES]
SEARCHES = ("/docs?q=idempotency-key", "/docs?q=zebra+crossing", "/docs?q=%3Cscript%3E")


@dataclass
class Read(HTMLParser):
    """What a page has: ids, links, and what no page may have."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    scripts: list[str | None] = field(default_factory=list)
    styled: list[str] = field(default_factory=list)
    headings: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value] if (value := given.get("id")) else []
        self.links += [href] if tag == "a" and (href := given.get("href")) else []
        self.scripts += [given.get("src")] if tag == "script" else []
        self.styled += [tag] if "style" in given or tag == "style" else []
        self.headings += tag == "h1"


def read(text: str) -> Read:
    parser = Read()
    parser.feed(text)
    return parser


class Nobody:
    """Implements `web.api.Api` for a visitor. Pages of the docs call nothing for one."""

    server = Server(SERVER, None, 50_000)
    has_session = False

    def require_same_origin(self) -> None:
        """A visitor only reads."""

    def large_form(self) -> AbstractAsyncContextManager[FormData]:
        raise AssertionError

    async def call(self, *_: object, **__: object) -> Answer:
        raise AssertionError


def no_shared_pages(_: Request) -> SharedPages:
    raise AssertionError


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI(docs_url=None)
    app.include_router(routes.pages_router(lambda _: Nobody()))
    app.include_router(routes.router(no_shared_pages))

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"request_id": "req_1"}}, receive, send)

    transport = httpx2.ASGITransport(app=identified)
    async with httpx2.AsyncClient(transport=transport, base_url=SERVER) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers(client: httpx2.AsyncClient) -> Mapping[str, httpx2.Response]:
    return {address: await client.get(address) for address in (*ADDRESSES, *SEARCHES)}


@pytest.mark.parametrize("address", [*ADDRESSES, *SEARCHES])
async def test_a_page_is_whole(address: str, answers: Mapping[str, httpx2.Response]) -> None:
    answer = answers[address]
    page = read(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == pages.LIVE
    assert (page.headings, page.styled) == (1, [])
    assert all(source and source.startswith("/assets/") for source in page.scripts)
    assert len(page.ids) == len(set(page.ids))
    assert len(gzip.compress(answer.content, 5)) <= MAX_BYTES


async def test_every_link_leads_to_a_page_and_a_place_on_it(answers: Mapping[str, httpx2.Response]) -> None:
    read_pages = {address: read(answer.text) for address, answer in answers.items()}
    checked = 0
    for address, page in read_pages.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            target = path.partition("?")[0] or address
            assert link.startswith(("/", "#", "https://", "http://")), f"{address}: {link}"
            if target in read_pages:
                assert not anchor or anchor in read_pages[target].ids, f"{address}: {link}"
                checked += 1
            elif target.startswith("/"):
                own = target in ("/openapi.json", "/readyz") or any(one.match(target) for one in SERVED)
                assert own, f"{address}: {link}"
                assert not target.startswith("/docs"), f"{address}: {link}"
    assert checked > 1000


async def test_the_guide_has_every_document_once() -> None:
    listed = [topic.file for topic in guide.topics().values()]
    there = [path.relative_to(guide.FOLDER).with_suffix("").as_posix() for path in guide.FOLDER.rglob("*.md")]
    assert sorted(listed) == sorted(there), "a document is a line of GROUPS in web/guide.py"
    assert len({topic.address for topic in guide.topics().values()}) == len(listed)


async def test_examples_name_this_server_and_never_a_token(answers: Mapping[str, httpx2.Response]) -> None:
    for address, answer in answers.items():
        assert not re.search(r"\$(?:<[^>]+>)*YOUT_URL|environ\[.{0,40}YOUT_URL|process\.env\.YOUT_URL", answer.text), (
            address
        )
        assert not re.search(r"yout-[0-9a-zA-Z]{20}", answer.text), address
    assert f"{SERVER}/v1" in answers["/docs/clients"].text
    assert f"{SERVER}/v1/chat/completions" in answers["/docs/api/chat"].text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('curl "$YOUT_URL/v1/models"', 'curl "http://x/v1/models"'),
        ("export YOUT_URL=$(python3 -c 1)", "export YOUT_URL=http://x"),
        ("export YOUT_KEY=$(python3 -c 1)", "export YOUT_KEY=yout-…   # a key of yours"),
        ('OpenAI(base_url=os.environ["YOUT_URL"] + "/v1")', 'OpenAI(base_url="http://x/v1")'),
        ('Anthropic(base_url=os.environ["YOUT_URL"])', 'Anthropic(base_url="http://x")'),
        ("baseURL: `${process.env.YOUT_URL}/v1`", "baseURL: `http://x/v1`"),
        ("baseURL: process.env.YOUT_URL }", 'baseURL: "http://x" }'),
        ("echo $YOUT_URLS", "echo $YOUT_URLS"),
    ],
)
async def test_an_example_gets_the_address(written: str, shown: str) -> None:
    assert guide_markdown.addressed(written, "http://x") == shown


@pytest.mark.parametrize("address", ["/docs/nothing", "/docs/api/nothing", "/docs/decisions/9999-nothing"])
async def test_there_is_no_other_page(client: httpx2.AsyncClient, address: str) -> None:
    answer = await client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (404, pages.HTML)


async def test_a_search_finds_what_has_all_of_the_words(answers: Mapping[str, httpx2.Response]) -> None:
    matches, nothing, escaped = (answers[address].text for address in SEARCHES)
    assert 'href="/docs/api-guide#idempotency"' in matches
    assert "Nothing" in nothing
    assert "<script>" not in escaped.replace('<script type="module"', "")


async def test_a_search_looks_for_a_bounded_number_of_words(client: httpx2.AsyncClient) -> None:
    """Anybody may ask, and each word is looked for in all of the docs."""
    words = " ".join("abcdefgh"[: docs.MAX_WORDS])
    assert len(words.split()) == docs.MAX_WORDS
    matches = [
        (await client.get("/docs", params={"q": q})).text.count("<li><a") for q in (words, f"{words} zebra-crossing")
    ]
    assert matches[0] == matches[1] > 0


async def test_jump_to_lists_the_guide_and_the_reference(client: httpx2.AsyncClient) -> None:
    listed = (await client.get("/docs/places.json")).json()["data"]
    addresses = {one["href"] for one in listed}
    assert {"/docs/quickstart", "/docs/api-guide#streams", "/docs/api/media#post-v1-videos"} <= addresses
    assert all(one["name"] and one["kind"] in ("Docs", "API") for one in listed)


@cache
def document() -> dict[str, object]:
    described: dict[str, object] = orjson.loads((ROOT / "docs/openapi.json").read_bytes())
    return described


async def test_the_reference_has_every_operation_once() -> None:
    paths = document()["paths"]
    assert isinstance(paths, dict)
    described = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    shown = [f"{one.method} {one.path}" for tag in reference.TAGS for one in reference.load().of(tag)]
    assert sorted(shown) == sorted(described), "a tag is a line of TAGS in web/reference.py"


@pytest.mark.parametrize(
    "operation", [one for one in reference.load().operations if one.example is not None], ids=lambda one: one.id
)
async def test_the_body_of_an_example_is_valid(operation: reference.Operation) -> None:
    paths = document()["paths"]
    assert isinstance(paths, dict)
    content = paths[operation.path][operation.method.lower()]["requestBody"]["content"]
    kind = "multipart/form-data" if operation.form and "multipart/form-data" in content else next(iter(content))
    schema = {**content[kind].get("schema", {}), "components": document()["components"]}
    jsonschema.validate(operation.example, schema)


async def test_every_field_of_a_request_is_shown(answers: Mapping[str, httpx2.Response]) -> None:
    text = answers["/docs/api/keys"].text
    for name in ("credits_day", "grace_seconds", "expires_at"):
        assert f'<code class="term">{name}</code>' in text

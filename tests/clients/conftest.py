"""One API process with a foreign OpenAI-compatible provider behind it, for real SDKs over a real port."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from openai import OpenAI

from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from tests.support import provoked_world
from tests.support.account_client import CREDITS, AccountClient
from tests.support.account_opener import AccountOpener
from tests.support.doubles import (
    anthropic_server,
    completions_wire,
    dialect_server,
    embeddings_wire,
    malformed_chunks,
    raw_answers,
    responses_server,
    usage_variants,
)
from tests.support.doubles.anthropic_server import AnthropicServer
from tests.support.doubles.dialect_server import DialectServer
from tests.support.doubles.entries import embedding_model, text_model
from tests.support.doubles.openai_server import STATUSES, USAGES, WRITERS, OpenAIServer
from tests.support.doubles.paced import Paced
from tests.support.doubles.responses_server import ResponsesServer
from tests.support.own_stack import own_stack
from tests.support.pages_site import browser, member, site  # noqa: F401  # fixtures
from tests.support.provoked import World
from tests.support.stack import Stack
from tests.support.stripe_events import SECRET as STRIPE_SECRET

BEHAVIOURS = [
    *("plain", "cut", "error-inside", "garbage", "endless", "hang", "html", "picky", "too-long"),
    *STATUSES,
    *(USAGES.keys() - {"extras"}),
    *WRITERS,
    *("chatty", "comments", "nested"),
    *malformed_chunks.WHOLE,
    *malformed_chunks.STREAMED,
    *malformed_chunks.COMPLETED,
    *usage_variants.STREAMED,
    *malformed_chunks.TELLING,
    *raw_answers.ANSWERS,
]

TIERED = """
[models.test-tiered]
name = "Every price that there is"
context_window = 100000
max_output_tokens = 4000
credits_per_1k_input = 0.123457
credits_per_1k_output = 7.5
routes = [ { provider = "foreign", model = "usage-cached" } ]

[[models.test-tiered.tiers]]
above = 50
credits_per_1k_input = 1
credits_per_1k_output = 1

[[models.test-tiered.tiers]]
above = 900
credits_per_1k_input = 40.000003
credits_per_1k_output = 61.7
credits_per_1k_cached_input = 3.1
credits_per_1k_cache_write = 55.5

[[models.test-tiered.tiers]]
above = 5000
credits_per_1k_input = 900
credits_per_1k_output = 900
"""
EXTRAS = """
[models.test-extras]
context_window = 100000
max_output_tokens = 4000
input_modalities = ["text", "image", "audio"]
passes = ["moderation"]
credits_per_1k_input = 300
credits_per_1k_output = 1500
credits_per_1k_cached_input = 30
credits_per_1k_audio_input = 3200
credits_per_1k_audio_output = 6400
credits_per_1k_web_search = 1000000
service_tiers.flex = { credits_per_1k_input = 150, credits_per_1k_output = 750 }
service_tiers.priority = { credits_per_1k_input = 600, credits_per_1k_output = 3000 }
routes = [ { provider = "foreign", model = "extras" } ]

[models.test-downgraded]
context_window = 100000
max_output_tokens = 4000
credits_per_1k_input = 300
credits_per_1k_output = 1500
credits_per_1k_web_search = 1000000
service_tiers.priority = { credits_per_1k_input = 600, credits_per_1k_output = 3000 }
routes = [ { provider = "foreign", model = "downgraded" } ]

[models.test-unsampled]
context_window = 100000
max_output_tokens = 4000
supported_parameters = ["max_tokens", "seed"]
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [ { provider = "foreign", model = "plain" } ]

[models.test-small]
context_window = 2000
max_output_tokens = 500
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [ { provider = "foreign", model = "plain" } ]
"""
IMAGE = """
[providers.gallery]
kind = "demo"

[models.test-image-kept]
modality = "image"
credits_per_image = 100
routes = [ { provider = "gallery", model = "demo-image" } ]
"""
COSTED = """
[models.test-costed]
name = "What its provider bills for it is known"
context_window = 100000
max_output_tokens = 4000
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [
    { provider = "unreachable", model = "x", cost_per_1k_input = 900000, cost_per_1k_output = 900000 },
    { provider = "foreign", model = "usage-cached", cost_per_1k_input = 200.000001, cost_per_1k_output = 1000.5 },
]
"""
FOR_A_PLAN = """
[plans.pro]
credits_per_month = 5000
stripe = ["price_pro"]

[payments]
credits_per_unit = { usd = 100 }

[models.test-pro]
name = "For accounts with a plan"
context_window = 100000
max_output_tokens = 4000
credits_per_1k_input = 300
credits_per_1k_output = 1500
pro_only = true
routes = [ { provider = "foreign", model = "plain" } ]
"""


def catalog(upstream: str, claudes: str, responses: str) -> str:
    """A file such as an operator writes to add a server of their own: 300 and 1,500 credits per 1,000 tokens."""
    provider = f"""
[providers.foreign]
kind = "openai"
base_url = "{upstream}"
api_key = "sk-foreign"
passes = ["vendor_field"]
capabilities = ["abort_stops_billing"]

[providers.metered]
kind = "openai"
base_url = "{upstream}"
capabilities = ["abort_stops_billing", "meterable"]

[providers.responses]
kind = "openai_responses"
base_url = "{responses}"
api_key = "sk-foreign"
capabilities = ["abort_stops_billing"]

[providers.texts]
kind = "openai"
base_url = "{upstream}"
capabilities = ["abort_stops_billing", "completions"]

[providers.google]
kind = "gemini"
base_url = "{upstream}"
api_key = "sk-google"

[providers.unreachable]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"

[providers.private]
kind = "openai"
base_url = "{upstream}"
api_key = "sk-private"
privacy = "zero_retention"
"""
    models = {f"test-{name}": [f"foreign/{name}"] for name in BEHAVIOURS} | {
        "test-metered": ["metered/writes"],
        "test-throat": ["foreign/role-then-error", "foreign/plain"],
        "test-second": ["unreachable/x", "foreign/plain"],
        "test-unreachable": ["unreachable/x"],
        "test-private": ["foreign/plain", "private/plain"],
        "test-private-away": ["private/broken", "foreign/plain"],
    }
    written = [text_model(name, *routes, max_output=40_000) for name, routes in models.items()]
    written += [
        text_model(f"native-{name}", f"responses/{name}", more=responses_server.PRICED.get(name, ""))
        for name in responses_server.MODELS
    ]
    embedders = {f"test-{name}": [f"foreign/{name}"] for name in embeddings_wire.MODELS} | {
        **{
            f"test-gemini-{name}": [f"google/{name}"]
            for name in ("embed", "embed-metered", "embed-busy", "embed-fewer")
        },
        "test-embed-second": ["unreachable/x", "foreign/embed-broken", "foreign/embed-fewer", "foreign/embed"],
    }
    texts = {f"test-{name}": [f"texts/{name}"] for name in completions_wire.MODELS} | {
        "test-text-second": ["unreachable/x", "texts/text-broken", "texts/text"],
        "test-text-chat-second": ["texts/text-broken", "foreign/plain"],
    }
    written += [text_model(name, *routes) for name, routes in texts.items()]
    written += [embedding_model(name, *routes) for name, routes in embedders.items()]
    return (
        provider + "".join(written) + TIERED + EXTRAS + IMAGE + COSTED + FOR_A_PLAN + anthropic_server.catalog(claudes)
    )


@pytest.fixture(scope="package")
def upstream() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="package")
def responses() -> Iterator[ResponsesServer]:
    with ResponsesServer() as server:
        yield server


@pytest.fixture(scope="package")
def dialects() -> Iterator[DialectServer]:
    with DialectServer() as server:
        yield server


@pytest.fixture(scope="package")
def claudes() -> Iterator[AnthropicServer]:
    with AnthropicServer() as server:
        yield server


@pytest.fixture(scope="package")
def written_catalog(
    upstream: OpenAIServer, claudes: AnthropicServer, dialects: DialectServer, responses: ResponsesServer
) -> str:
    return catalog(upstream.url, claudes.url, responses.url) + dialect_server.catalog(dialects)


@pytest.fixture(scope="package")
def stack(
    postgres: EmbeddedPostgres, written_catalog: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    started = own_stack(postgres, tmp_path_factory, "clients", written_catalog)
    started.extra = {"YOUT_STRIPE_WEBHOOK_SECRETS": f"whsec_of_another_time_0123,{STRIPE_SECRET}"}
    with started.running("api"):
        yield started


Openers = Callable[[str], AccountOpener]


@pytest.fixture(scope="package")
def openers(postgres: EmbeddedPostgres) -> Iterator[Openers]:
    """Gives each database one opener, for some test files have a stack of their own."""
    with ExitStack() as running:
        yield functools.cache(lambda database_url: running.enter_context(AccountOpener.on(database_url)))


@pytest.fixture
def opener(stack: Stack, openers: Openers) -> AccountOpener:
    return openers(stack.database_url)


OpenAccount = Callable[[int], Awaitable[str]]


@pytest.fixture
def account(opener: AccountOpener) -> OpenAccount:
    """Makes an account with so many credits and returns its key."""

    async def made(credits: int) -> str:
        return (await opener.open(credits)).token

    return made


@pytest.fixture
async def key(account: OpenAccount) -> str:
    return await account(1_000_000)


@pytest.fixture
def client(stack: Stack, key: str) -> Iterator[OpenAI]:
    """The official SDK, with the million credits of `key`. It tries nothing again by itself."""
    with OpenAI(api_key=key, base_url=f"{stack.url}/v1", max_retries=0) as sdk:
        yield sdk


OpenAccountClient = Callable[..., Awaitable[AccountClient]]


@pytest.fixture
async def new_owner(stack: Stack, opener: AccountOpener) -> AsyncIterator[OpenAccountClient]:
    """Opens accounts with so many credits. Database and ledger connect when a test first uses them."""
    database = Database.open(stack.database_url, pool=2)
    opened = []
    async with LedgerWriter(stack.database_url) as ledger:

        async def made(credits: int = CREDITS) -> AccountClient:
            customer = await opener.open(credits)
            headers = {"authorization": f"Bearer {customer.token}"}
            opened.append(httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30))
            return AccountClient(customer, opened[-1], database, ledger)

        yield made
    for client in opened:
        await client.aclose()
    await database.close()


@pytest.fixture
async def owner(new_owner: OpenAccountClient) -> AccountClient:
    return await new_owner()


@pytest.fixture(scope="package")
def paced() -> Iterator[Paced]:
    with Paced() as server:
        yield server


@pytest.fixture(scope="package")
def faulty_stack(postgres: EmbeddedPostgres, paced: Paced, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with provoked_world.running(postgres, paced, tmp_path_factory) as stack:
        yield stack


@pytest.fixture
async def world(faulty_stack: Stack, paced: Paced) -> AsyncIterator[World]:
    async with provoked_world.opened(faulty_stack, paced) as opened:
        yield opened

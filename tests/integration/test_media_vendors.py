"""Jobs at Google, OpenAI, xAI and OpenRouter, from the POST to the file: always one charge or a full release."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from storage.sniff import content_type
from tests.support import vendor_jobs
from tests.support.doubles.google_media import GoogleMedia
from tests.support.doubles.media_double import MediaDouble
from tests.support.doubles.openai_media import SPOKEN, OpenAIMediaServer
from tests.support.doubles.openrouter_media import OpenRouterMedia
from tests.support.doubles.sora_server import SoraServer
from tests.support.doubles.xai_media import XaiMedia
from tests.support.media_stack import Customer, Job, World, embedded
from tests.support.stack import Stack
from tests.support.vendor_jobs import CASES, PARTLY, PRICES, ROUTES, TYPES, Case

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENING = 10_000_000


@dataclass(slots=True)
class Site:
    world: World
    doubles: list[MediaDouble]
    customer: Customer
    made: dict[str, Job]
    partly: dict[str, Job]
    cases: dict[Case, Job]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The stack, with all jobs under way: they run side by side while the tests look at one by one."""
    folder = tmp_path_factory.mktemp("media-vendors")
    async with AsyncExitStack() as opened:
        kinds = (GoogleMedia(), OpenAIMediaServer(), XaiMedia(), OpenRouterMedia(), SoraServer())
        doubles = vendor_jobs.Doubles(*kinds)
        for double in doubles.all():
            opened.enter_context(double)
        postgres, temporal = await opened.enter_async_context(embedded(folder))
        catalog = folder / "catalog.toml"
        catalog.write_text(vendor_jobs.catalog(doubles))
        more = {"YOUT_SHUTDOWN_TIMEOUT": "3"}
        stack = Stack.on(postgres, folder / "state", temporal.address, catalog=catalog, extra=more)
        for module in ("worker", "api"):
            opened.enter_context(stack.running(module))
        world = await opened.enter_async_context(World.of(stack))
        customer = await world.customer(OPENING)
        made = {model: await _ordered(customer, model, f"{model}, as it should be") for model in ROUTES}
        partly = {model: await _ordered(customer, model, f"three [{fault}]", n=3) for model, fault in PARTLY.items()}
        cases = {case: await _ordered(customer, case.model, case.prompt) for case in CASES}
        yield Site(world, doubles.all(), customer, made, partly, cases)


async def _ordered(customer: Customer, model: str, prompt: str, **parameters: object) -> Job:
    kind, body = vendor_jobs.order(model, prompt, **parameters)
    return await customer.ordered(kind, **body)


async def _settled(site: Site, job: Job) -> None:
    """One charge or one release, and nothing left of the input."""
    movements = await site.world.movements(job["job_uuid"])
    assert movements == ["hold", "charge" if job["status"] == "succeeded" else "release"]
    assert not await site.world.rows("SELECT job_id FROM job_inputs WHERE job_id = %s", UUID(job["job_uuid"]))


@pytest.mark.parametrize("model", ROUTES)
async def test_a_job_is_made_charged_once_and_served(site: Site, model: str) -> None:
    kind = ROUTES[model][0]
    job = await site.customer.ended(site.made[model])
    assert (job["status"], job["credits_cost"], job["error"]) == ("succeeded", PRICES[kind][1], None)
    (output,) = job["outputs"]
    async with httpx2.AsyncClient(timeout=60) as anyone:
        answer = await anyone.get(output["url"])
    assert (answer.status_code, output["content_type"]) == (200, TYPES[kind])
    if kind == "transcription":  # a text is no type that a browser gets
        assert (answer.json()["text"], answer.headers["content-type"]) == (SPOKEN, "application/octet-stream")
    else:
        assert content_type(answer.content) == answer.headers["content-type"] == TYPES[kind]
    await _settled(site, job)
    assert vendor_jobs.accepted(site.doubles, f"{model}, as it should be") == 1


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_however_a_vendor_behaves_a_job_is_charged_once_or_not_at_all(site: Site, case: Case) -> None:
    job = await site.customer.ended(site.cases[case])
    state = "failed" if case.failure else "succeeded"
    assert (job["status"], (job["error"] or {}).get("code")) == (state, case.failure)
    assert job["credits_refunded"] == (job["credits_cost"] if case.failure else 0)
    assert "SECRET" not in str(job)
    await _settled(site, job)
    assert vendor_jobs.accepted(site.doubles, case.prompt) <= 1


@pytest.mark.parametrize("model", PARTLY)
async def test_of_several_images_those_that_came_are_delivered(site: Site, model: str) -> None:
    job = await site.customer.ended(site.partly[model])
    count, held = len(job["outputs"]), 3 * PRICES["image"][1]
    assert (job["status"], job["credits_cost"]) == ("succeeded", held)
    assert 0 < count < 3
    assert held - job["credits_refunded"] == -(-held * count // 3)
    await _settled(site, job)


async def test_the_books_are_clean_and_no_log_has_a_text_or_a_key(site: Site) -> None:
    for ordered in (*site.made.values(), *site.partly.values(), *site.cases.values()):
        await site.customer.ended(ordered)
    assert (await site.customer.balance())[1] == 0
    await site.world.books_are_clean()
    logs = site.world.stack.log("worker") + site.world.stack.log("api")
    keys = [GoogleMedia.key, OpenAIMediaServer.key, XaiMedia.key, OpenRouterMedia.key, SoraServer.key, "media-token-"]
    assert [word for word in ("SECRET", "as it should be", *keys) if word in logs] == []

"""Jobs at fal, Replicate and ElevenLabs, from the POST to the file: whatever they do, one charge or a full release."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx2
import pytest
import pytest_asyncio

from storage.sniff import content_type
from tests.support.doubles import elevenlabs_server, fal_server, replicate_server
from tests.support.doubles.elevenlabs_server import ElevenLabsServer
from tests.support.doubles.fal_server import FalServer
from tests.support.doubles.replicate_server import ReplicateServer
from tests.support.media_stack import Customer, Job, World, embedded, until
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAL_KEYS = {"FAL_FORMER_KEY": "revoked:key", "FAL_KEY": fal_server.KEY}
"""fal does not accept the first one any more: it rests, and each job stays with the key that submitted it."""
OPENING, IMAGE, VIDEO, SPEECH = 10_000_000, 300, 5000, 700
FAILED, REFUSED, POLICY, LATE = "upstream_error", "invalid_value", "content_policy_violation", "upstream_timeout"
FAL: Mapping[str, str | None] = {
    "early": None,
    "slow": None,
    "busy": None,
    "unavailable": FAILED,
    "strange": None,
    "shaky": None,
    "wandering": None,
    "broken": FAILED,
    "rejected": REFUSED,
    "refused": POLICY,
    "cut": FAILED,
    "nameless": FAILED,
    "policy": POLICY,
    "nsfw": POLICY,
    "invalid": REFUSED,
    "late": LATE,
    "failed": FAILED,
    "unwell": FAILED,
    "none": FAILED,
    "lost": FAILED,
    "elsewhere": FAILED,
    "html": FAILED,
    "empty": FAILED,
}
"""How a job of each behaviour ends: the code of its error, or None for success."""
REPLICATE: Mapping[str, str | None] = {
    "object": None,
    "nested": None,
    "slow": None,
    "busy": None,
    "unavailable": FAILED,
    "strange": None,
    "shaky": None,
    "broken": FAILED,
    "rejected": REFUSED,
    "cut": FAILED,
    "nameless": FAILED,
    "policy": POLICY,
    "failed": FAILED,
    "aborted": FAILED,
    "stopped": FAILED,
    "removed": FAILED,
    "words": FAILED,
    "lost": FAILED,
    "elsewhere": FAILED,
    "html": FAILED,
    "empty": FAILED,
}
ELEVENLABS: Mapping[str, str | None] = {
    "slow": None,
    "crowded": None,
    "busy": None,
    "unavailable": None,
    "broken": FAILED,
    "rejected": REFUSED,
    "long": REFUSED,
    "policy": POLICY,
    "lost": FAILED,
    "cut": FAILED,
    "html": FAILED,
    "json": FAILED,
    "empty": FAILED,
}
ENDINGS = [
    *(("fal", behaviour, failure) for behaviour, failure in FAL.items()),
    *(("replicate", behaviour, failure) for behaviour, failure in REPLICATE.items()),
    *(("elevenlabs", behaviour, failure) for behaviour, failure in ELEVENLABS.items()),
]
MADE: Mapping[tuple[str, str], tuple[str, dict[str, object], int, list[str]]] = {
    ("fal", "image"): ("image", {"n": 2, "seed": 7}, 2 * IMAGE, ["image/png"] * 2),
    ("fal", "video"): ("video", {"size": "1920x1080"}, VIDEO, ["video/mp4"]),
    ("replicate", "image"): ("image", {"n": 2}, 2 * IMAGE, ["image/png"] * 2),
    ("replicate", "string"): ("video", {}, VIDEO, ["video/mp4"]),
    ("elevenlabs", "speech"): ("speech", {}, SPEECH, ["audio/mpeg"]),
}
FEWER = (("fal", "half"), ("fal", "mixed"), ("replicate", "fewer"))
"""Two of three images come: 301 credits are held, and 200.67 are owed."""


def _model(provider: str, name: str, upstream: str, modality: str) -> str:
    unit, price = {"image": ("image", IMAGE), "video": ("call", VIDEO), "speech": ("call", SPEECH)}[modality]
    return f"""
[models.{provider}-{name}]
modality = "{modality}"
credits_per_{unit} = {100.1 if (provider, name) in FEWER else price}
routes = [{{ provider = "{provider}", model = "{upstream}" }}]
"""


def _catalog(urls: Mapping[str, str]) -> str:
    keys = {"fal": fal_server.KEY, "replicate": replicate_server.KEY, "elevenlabs": elevenlabs_server.KEY}
    given = {name: f'api_key = "{key}"' for name, key in keys.items()} | {"fal": f"api_key_env = {list(FAL_KEYS)}"}
    providers = [
        f'[providers.{name}]\nkind = "{name}"\nbase_url = "{url}"\n{given[name]}\nprivacy = "retained"\n'
        for name, url in urls.items()
    ]
    bases = {"fal": ("fal-ai/flux", "image"), "replicate": ("a/b", "image"), "elevenlabs": ("eleven_v3", "speech")}
    models = [_model(name, each, f"{bases[name][0]}--{each}", bases[name][1]) for name, each, _ in ENDINGS]
    models += [_model(name, each, f"{bases[name][0]}--{each}", "image") for name, each in FEWER]
    models += [_model(name, f"never-{name}", f"{base}--never", kind) for name, (base, kind) in bases.items()]
    models += [
        _model("fal", "image", "fal-ai/flux/dev", "image"),
        _model("fal", "video", "fal-ai/veo3.1/fast--video", "video"),
        _model("replicate", "image", "a/b", "image"),
        _model("replicate", "string", "google/veo-3.1--string", "video"),
        _model("elevenlabs", "speech", "eleven_multilingual_v2", "speech"),
    ]
    return "\n".join([*providers, *models])


Double = FalServer | ReplicateServer | ElevenLabsServer


@dataclass(slots=True)
class Site:
    world: World
    doubles: Mapping[str, Double]
    customer: Customer
    orders: dict[tuple[str, str], Job]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The stack, with one job of each behaviour under way: they run side by side while the tests look at them."""
    folder = tmp_path_factory.mktemp("media-queues")
    async with AsyncExitStack() as opened:
        fal, replicate = opened.enter_context(FalServer()), opened.enter_context(ReplicateServer())
        elevenlabs = opened.enter_context(ElevenLabsServer())
        postgres, temporal = await opened.enter_async_context(embedded(folder))
        urls = {"fal": fal.url, "replicate": f"{replicate.url}/v1", "elevenlabs": f"{elevenlabs.url}/v1"}
        catalog = folder / "catalog.toml"
        catalog.write_text(_catalog(urls))
        stack = Stack.on(
            postgres,
            folder / "state",
            temporal.address,
            catalog=catalog,
            extra={"YOUT_SHUTDOWN_TIMEOUT": "3"} | FAL_KEYS,
        )
        for module in ("worker", "api"):
            opened.enter_context(stack.running(module))
        world = await opened.enter_async_context(World.of(stack))
        customer = await world.customer(OPENING)
        names = [*MADE, *FEWER, *((provider, behaviour) for provider, behaviour, _ in ENDINGS)]
        jobs = [await _ordered(customer, *name) for name in names]
        doubles: dict[str, Double] = {"fal": fal, "replicate": replicate, "elevenlabs": elevenlabs}
        yield Site(world, doubles, customer, dict(zip(names, jobs, strict=True)))


async def _ordered(customer: Customer, provider: str, name: str) -> Job:
    speaks = provider == "elevenlabs"
    kind, parameters, _, _ = MADE.get((provider, name), ("speech" if speaks else "image", {}, 0, []))
    parameters = parameters | ({"n": 3} if (provider, name) in FEWER else {})
    text = {"input": "Good evening.", "voice": "Rachel"} if speaks else {"prompt": "a lake"}
    return await customer.ordered(kind, model=f"{provider}-{name}", **text, **parameters)


@pytest.mark.parametrize(("provider", "name"), MADE)
async def test_a_job_is_made_charged_once_and_served(site: Site, provider: str, name: str) -> None:
    _, _, price, types = MADE[provider, name]
    job = await site.customer.ended(site.orders[provider, name])
    assert (job["status"], job["credits_cost"], job["error"]) == ("succeeded", price, None)
    assert [output["content_type"] for output in job["outputs"]] == types
    async with httpx2.AsyncClient(timeout=60) as anyone:
        for output in job["outputs"]:
            answer = await anyone.get(output["url"])
            assert (answer.status_code, content_type(answer.content)) == (200, output["content_type"])
    await site.world.settled_once(job, "succeeded")


@pytest.mark.parametrize(("provider", "behaviour", "failure"), ENDINGS)
async def test_however_a_provider_behaves_a_job_is_charged_once_or_not_at_all(
    site: Site, provider: str, behaviour: str, failure: str | None
) -> None:
    job = await site.customer.ended(site.orders[provider, behaviour])
    state = "failed" if failure else "succeeded"
    assert (job["status"], (job["error"] or {}).get("code")) == (state, failure)
    assert "SECRET" not in str(job)
    await site.world.settled_once(job, state)
    assert site.doubles[provider].submissions(behaviour) <= 1


@pytest.mark.parametrize(("provider", "name"), FEWER)
async def test_what_was_not_made_is_not_charged(site: Site, provider: str, name: str) -> None:
    job = await site.customer.ended(site.orders[provider, name])
    assert (job["status"], len(job["outputs"])) == ("succeeded", 2)
    assert (job["credits_cost"], job["credits_refunded"]) == (301, 100)
    assert await site.world.movements(job["job_uuid"]) == ["hold", "charge"]


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_job_that_never_ends_is_cancelled_there(site: Site, provider: str) -> None:
    customer = await site.world.customer(OPENING)
    order = await _ordered(customer, provider, f"never-{provider}")
    await customer.in_state(order, "running")
    answer = await customer.http.post(f"/api/media/jobs/{order['job_uuid']}/cancel/")
    assert answer.status_code in (200, 202), answer.text
    job = await customer.ended(order)
    assert job["status"] == "cancelled"
    await site.world.settled_once(job, "cancelled")
    assert await customer.balance() == (OPENING, 0)


async def test_the_books_are_clean_and_nothing_is_left_of_a_speech(site: Site) -> None:
    jobs = [await site.customer.ended(order) for order in site.orders.values()]
    charged = sum(job["credits_cost"] - job["credits_refunded"] for job in jobs if job["status"] == "succeeded")
    assert await site.customer.balance() == (OPENING - charged, 0)
    await site.world.books_are_clean()
    elevenlabs = site.doubles["elevenlabs"]
    assert isinstance(elevenlabs, ElevenLabsServer)
    rows = await site.world.rows(
        "SELECT provider_job_id FROM media_jobs WHERE starts_with(provider_job_id, 'history:')"
    )
    assert rows
    history = elevenlabs.history

    async def deleted() -> bool:
        return not history & {row[0].partition(":")[2] for row in rows}

    await until(deleted, "the speeches to be deleted there")
    logs = site.world.stack.log("worker") + site.world.stack.log("api")
    assert "SECRET" not in logs
    assert "a lake" not in logs

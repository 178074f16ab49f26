"""Traces by OpenTelemetry of real processes, at a receiver that decodes them; and one request id in every log."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from dev import ports
from tests.support import leak_scan
from tests.support.canaries import ASKED, NAMED
from tests.support.doubles.entries import text_model
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.doubles.otlp_receiver import OtlpReceiver, Received
from tests.support.doubles.webhook_receiver import Receiver, receiving
from tests.support.media_stack import Customer, World, embedded, until
from tests.support.stack import AWAY, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ERROR = Status.STATUS_CODE_ERROR
PARENT = "00-11111111111111111111111111111111-2222222222222222-01"
CATALOG = """
[providers.away]
kind = "openai"
base_url = "http://127.0.0.1:1/v1"

[providers.lab]
kind = "openai"
base_url = "{url}"

[providers.vowed]
kind = "openai"
base_url = "{url}"
privacy = "zero_retention"

[providers.pictures]
kind = "xai"
base_url = "http://127.0.0.1:1/v1"
api_key_env = "PICTURES_KEY"

[models.away-image]
modality = "image"
credits_per_image = 100
routes = [ {{ provider = "pictures", model = "grok-imagine-image" }} ]
"""


@dataclass(slots=True)
class Site:
    stack: Stack
    receiver: OtlpReceiver
    provider: OpenAIServer
    customer: Customer
    hooks: Receiver

    async def chat(self, model: str, *, stream: bool) -> httpx2.Response:
        """Every field and header that a caller has, with a word that must not be found."""
        headers = {"traceparent": PARENT, "tracestate": f"vendor={ASKED}", "baggage": f"word={ASKED}"}
        return await self.customer.http.post(
            "/v1/chat/completions",
            params={"word": ASKED},
            headers={**headers, "user-agent": ASKED, "referer": f"https://{NAMED}.example/"},
            json={
                "model": model,
                "stream": stream,
                "messages": [{"role": "user", "content": f"say {ASKED}"}],
                "metadata": {"word": ASKED},
                "user": ASKED,
            },
        )

    async def trace(self, request_id: str, *names: str) -> list[Received]:
        """The spans of the request's trace, once those of these names are there, with the parents of all.

        Each process exports by itself, and a span when it ends: a parent may come after its children.
        """

        async def whole() -> list[Received]:
            spans = self.receiver.of_request(request_id)
            named = {each.name for each in spans} >= set(names)
            missing = {each.span.parent_span_id for each in spans} - {each.span.span_id for each in spans} - {b""}
            return spans if named and not (names and missing) else []

        return await until(whole, f"a trace with {names}")

    def lines(self, module: str, request_id: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.stack.log(module).splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("request_id") == request_id]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("traces")
    with OtlpReceiver() as receiver, OpenAIServer() as provider:
        catalog = folder / "catalog.toml"
        models = text_model("two-routes", "away/x", "lab/plain") + text_model("retained", "vowed/retains")
        catalog.write_text(CATALOG.format(url=provider.url) + models)
        more = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",  # what FastAPI would export has texts of exceptions
            "PICTURES_KEY": NAMED,
            "YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true",
        }
        async with embedded(folder) as (postgres, server), receiving() as hooks:
            stack = Stack.on(postgres, folder / "state", server.address, catalog=catalog, extra=more)
            with stack.running("worker"), stack.running("api"):
                async with World.of(stack) as world:
                    yield Site(stack, receiver, provider, await world.customer(), hooks)


def by_name(spans: Sequence[Received], name: str) -> list[Received]:
    return sorted((each for each in spans if each.name == name), key=lambda each: each.span.start_time_unix_nano)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_is_one_trace_with_its_attempts_and_its_money(site: Site, stream: bool) -> None:
    answer = await site.chat("two-routes", stream=stream)
    assert answer.status_code == 200, answer.text
    spans = await site.trace(answer.headers["x-request-id"], "POST /v1/chat/completions", "ledger settle")
    (root,) = by_name(spans, "POST /v1/chat/completions")
    assert root.trace_id != PARENT.split("-")[1]
    assert (root.service, root.attributes["http.route"]) == ("yout-api", "/v1/chat/completions")
    assert (root.attributes["http.response.status_code"], root.attributes["yout.wire"]) == (200, "chat")
    failed, answered = by_name(spans, "provider attempt")
    assert (failed.attributes["gen_ai.provider.name"], failed.attributes["error.type"]) == ("away", "upstream_error")
    assert (answered.attributes["gen_ai.provider.name"], answered.attributes["yout.provider_model"]) == ("lab", "plain")
    assert [name for name, _ in root.events] == ["next attempt"]
    (held,), (settled,) = by_name(spans, "ledger reserve"), by_name(spans, "ledger settle")
    assert held.attributes["yout.credits_held"] >= settled.attributes["yout.credits_charged"] > 0
    assert settled.attributes["gen_ai.usage.output_tokens"] == answered.attributes["gen_ai.usage.output_tokens"] > 0
    assert {each.span.parent_span_id for each in (failed, answered, held, settled)} == {root.span.span_id}
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in site.provider.seen[-1].headers}


async def test_a_job_is_one_trace_through_api_workflow_activities_and_provider(site: Site) -> None:
    answer = await site.customer.order("image", model="demo-image", prompt=f"draw {ASKED}", size="64x64")
    job = await site.customer.ended(answer.json())
    assert job["status"] == "succeeded"
    path = "POST /api/media/image/"
    ends = ("CompleteWorkflow:MediaWorkflow", "RunActivity:succeed", "ledger accept", "provider submit")
    spans = await site.trace(answer.headers["x-request-id"], path, *ends)
    assert {each.service for each in spans} == {"yout-api", "yout-worker"}
    (accepted,), (submitted,) = by_name(spans, "ledger accept"), by_name(spans, "provider submit")
    assert accepted.attributes["yout.job_id"] == submitted.attributes["yout.job_id"] == job["job_uuid"]
    assert accepted.attributes["yout.credits_held"] == job["credits_cost"]
    parents = {each.span.span_id: each for each in spans}
    assert parents[submitted.span.parent_span_id].name == "RunActivity:submit"
    for each in spans:  # one root, and every other span has its parent in this trace
        assert each.name == path or each.span.parent_span_id in parents, each.name


async def test_a_job_that_maintenance_starts_belongs_to_the_request_that_ordered_it(site: Site) -> None:
    """Temporal was away for the process that accepted it. So does the webhook about its end."""
    away = replace(site.stack, temporal_address=AWAY, port=ports.free(), state=site.stack.state / "away")
    with away.running("api"):
        body = {
            "model": "demo-image",
            "prompt": f"draw {ASKED}",
            "size": "64x64",
            "webhook_url": site.hooks.url("/200"),
        }
        answer = await site.customer.http.post(f"{away.url}/api/media/image/", json=body)
        assert answer.status_code == 202, answer.text
    assert (await site.customer.ended(answer.json()))["status"] == "succeeded"
    request_id = answer.headers["x-request-id"]
    spans = await site.trace(request_id, "CompleteWorkflow:MediaWorkflow", "CompleteWorkflow:WebhookWorkflow")
    (root,) = by_name(spans, "POST /api/media/image/")
    started = [each for each in spans if each.name.startswith("StartWorkflow:") and each.span.status.code != ERROR]
    # API and worker both do maintenance: at the same moment, the second joins what the first has started.
    assert {each.name.partition(":")[2] for each in started} == {"MediaWorkflow", "WebhookWorkflow"}
    assert {each.span.parent_span_id for each in started} == {root.span.span_id}


async def test_the_log_of_api_and_worker_has_the_id_of_the_request_and_its_trace(site: Site) -> None:
    chat = await site.chat("retained", stream=False)
    ordered = await site.customer.order("image", model="away-image", prompt=f"draw {ASKED}", size="1024x1024")
    assert (chat.status_code, ordered.status_code) == (200, 202), (chat.text, ordered.text)

    async def logged() -> list[dict[str, Any]]:
        return site.lines("worker", ordered.headers["x-request-id"])

    at_work = await until(logged, "a line of the worker")
    await site.customer.http.post(f"/api/media/jobs/{ordered.json()['job_uuid']}/cancel/")
    for request_id, lines in (
        (ordered.headers["x-request-id"], at_work),
        (chat.headers["x-request-id"], site.lines("api", chat.headers["x-request-id"])),
    ):
        assert lines
        spans = await site.trace(request_id)
        assert {line["trace_id"] for line in lines} == {spans[0].trace_id}


async def test_no_word_of_a_caller_and_no_key_is_in_a_trace(site: Site) -> None:
    """After all the others: in whatever they have exported, names and texts of exceptions included."""
    await site.chat(f"no-such-{NAMED}", stream=False)
    await site.customer.http.get(f"/api/media/jobs/{NAMED}/")

    async def exceptions() -> list[str]:
        return [name for each in site.receiver.spans for name, _ in each.events if name.startswith("exception")]

    await until(exceptions, "a span with an exception: processes export by themselves")
    assert len(site.receiver.spans) > 30
    token = site.customer.token.removeprefix("yout-")[4:-4]
    needles = {**leak_scan.spellings(ASKED, NAMED, token)}
    needles |= leak_scan.spellings(str(site.customer.account_id), "127.0.0.1", parts=False)
    for body in site.receiver.bodies:
        assert not leak_scan.within(body, needles)
    assert site.receiver.others == []
    assert not any(each.span.status.message for each in site.receiver.spans)

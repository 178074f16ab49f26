"""`yout jobs`, against a real database and a real Temporal without a worker."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.command import yout
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.writer import LedgerWriter
from dev.temporal import EmbeddedTemporal
from domain.caller import Payer
from domain.ids import workflow_id
from domain.media import PROVIDER_FAILED, Kind, MediaRequest, Output, State, object_key
from domain.pricing import FlatTerms
from temporal import attributes
from tests.support.bank import WRAPPING, Customer, balance, open_account
from tests.support.media_stack import temporal_of
from tests.support.stack import SECRET

PRICE = 500
UNREACHABLE = "127.0.0.1:1"


class Site:
    def __init__(self, url: str, temporal: EmbeddedTemporal) -> None:
        self.url, self.temporal = url, temporal

    def invoke(self, *words: str, address: str = "") -> Result:
        environment = {
            "YOUT_DATABASE_URL": self.url,
            "YOUT_SECRET_KEY": SECRET,
            "YOUT_TEMPORAL_ADDRESS": address or self.temporal.address,
        }
        return CliRunner().invoke(yout, ["jobs", *words], env=environment)

    def text(self, *words: str, address: str = "") -> str:
        done = self.invoke(*words, address=address)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def report(self, *words: str, address: str = "") -> Any:
        return json.loads(self.text(*words, "--json", address=address))

    def refused(self, *words: str) -> str:
        done = self.invoke(*words)
        assert done.exit_code == 1, done.output
        return done.stderr.strip().removeprefix("error: ")

    def job(self, state: State = State.QUEUED, model: str = "demo-image") -> tuple[str, Customer]:
        """A job of a new account, in that state."""
        order_id = uuid.uuid4()

        async def made() -> Customer:
            database = Database.open(self.url, pool=2)
            async with LedgerWriter(self.url) as ledger:
                customer = await open_account(database, ledger, 1000)
            request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="A lake")
            price = FlatTerms(PRICE, "v1")
            jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
            await jobs.accept(Order(order_id, Payer(customer.digest), Kind.IMAGE, model, "demo", price, request))
            if state is not State.QUEUED:
                await jobs.begin(order_id)
            if state is State.SUCCEEDED:
                key = object_key(customer.account_id, order_id, 0, "png")
                await jobs.succeed(order_id, [Output(object_key=key, content_type="image/png", bytes=3)])
            elif state.terminal:
                await jobs.end(order_id, state, PROVIDER_FAILED if state is State.FAILED else None)
            await database.close()
            return customer

        return str(order_id), asyncio.run(made())

    def terminate(self, job: str) -> None:
        async def terminated() -> None:
            client = await temporal_of(self.temporal)
            await client.get_workflow_handle(workflow_id(uuid.UUID(job))).terminate()

        asyncio.run(terminated())


@pytest.fixture(scope="module")
def temporal() -> Iterator[EmbeddedTemporal]:
    with EmbeddedTemporal.temporary(attributes.DEFINITIONS) as server:
        yield server


@pytest.fixture
def site(database_url: str, temporal: EmbeddedTemporal) -> Site:
    return Site(database_url, temporal)


def test_jobs_are_listed_newest_first_and_filtered(site: Site) -> None:
    (first, _), (second, owner), (third, _) = site.job(), site.job(State.RUNNING, "other"), site.job(State.FAILED)
    assert [row["job_uuid"] for row in site.report("list")] == sorted([first, second, third], reverse=True)
    for words, expected in (
        (("--status", "running"), [second]),
        (("--model", "other", "--kind", "image"), [second]),
        (("--account", str(owner.account_id)), [second]),
        (("--kind", "video"), []),
    ):
        assert [row["job_uuid"] for row in site.report("list", *words)] == expected
    head, *rows = site.text("list").splitlines()
    assert head.split()[:3] == ["job", "account", "kind"]
    assert len(rows) == 3
    assert len(site.text("list", "--limit", "1").splitlines()) == 2


def test_one_job_is_shown_with_its_workflow(site: Site) -> None:
    job, owner = site.job(State.RUNNING)
    shown = site.report("show", job)
    assert (shown["status"], shown["account_id"], shown["credits_cost"]) == ("running", str(owner.account_id), PRICE)
    assert (shown["workflow"], site.report("show", job, address=UNREACHABLE)["workflow"]) == (
        "there is none",
        "unknown: Temporal is away",
    )
    assert "A lake" not in site.text("show", job)
    failed = site.report("show", site.job(State.FAILED)[0])
    assert (failed["error"], failed["error_message"]) == (PROVIDER_FAILED.code, PROVIDER_FAILED.message)
    assert site.refused("show", str(uuid.uuid4())) == "There is no such job in this account."


def test_a_job_is_cancelled(site: Site) -> None:
    queued, owner = site.job()
    assert site.text("cancel", queued) == "cancelled; 500 credits went back"
    assert asyncio.run(balance(site.url, owner))[0] == 1000
    running, _ = site.job(State.RUNNING)
    recorded = "recorded: maintenance asks its workflow, which is away or not open"
    assert site.text("cancel", running) == site.text("cancel", running, address=UNREACHABLE) == recorded
    assert site.report("show", running)["cancel_requested_at"] is not None


def test_a_lost_workflow_is_started_again_and_one_at_work_is_left_alone(site: Site) -> None:
    job, _ = site.job(State.RUNNING)
    assert site.text("retry", job) == "its workflow was started"
    assert site.text("retry", job) == "its workflow is at work: there is nothing to do"
    assert site.report("show", job)["workflow"] == "open"
    site.terminate(job)
    assert site.report("show", job)["workflow"] == "closed"
    assert site.report("retry", job) == {"job_uuid": job, "did": "its workflow was started"}
    without = site.invoke("retry", job, address=UNREACHABLE)
    assert without.exit_code == 2
    assert without.stderr.startswith(f"error: Temporal does not answer ({UNREACHABLE}): see that it runs there")


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_an_ended_job_is_not_retried(site: Site, state: State) -> None:
    job, _ = site.job(state)
    assert site.refused("retry", job) == (
        f"The job has ended ({state.value}), and an ended job never changes. Order it again."
    )


def test_a_charged_job_is_refunded_once_and_its_outputs_stay(site: Site) -> None:
    job, owner = site.job(State.SUCCEEDED)
    for repeated in (False, True):
        report = site.report("refund", job, "--reason", "A black picture.")
        assert (report["credits_refunded"], report["balance"], report["repeated"]) == (PRICE, 1000, repeated)
    shown = site.report("show", job)
    assert (shown["status"], shown["credits_refunded"], shown["outputs"]) == ("succeeded", PRICE, 1)
    assert asyncio.run(balance(site.url, owner))[0] == 1000
    failed, _ = site.job(State.FAILED)
    assert site.refused("refund", failed, "--reason", "x") == (
        "Nothing was charged for this call: there is nothing to refund."
    )

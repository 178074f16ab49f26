"""Each check of `make torture` finds its fault, and nothing where there is none."""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from bench.torture.checks import ENDPOINT, JOB_URL, Proof
from bench.torture.orders import Ordered

CANARY = "qvxkzjwmthgbplydrnsc"
OPENING, COST = 10_000, 300
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()
JOB_SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


@dataclass(slots=True)
class Records:
    """Three jobs, as a stack without a fault leaves them: two pictures, and one that its vendor refused."""

    state: Path
    url: str = ""
    account: str = field(default_factory=lambda: str(uuid4()))
    token: str = "a-key"
    hook_secret: str = SECRET
    job_secret: str = JOB_SECRET
    ids: list[UUID] = field(default_factory=lambda: [uuid4() for _ in range(3)])
    tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    arrivals: list[dict[str, Any]] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    served: bytes = PNG
    served_type: str = "image/png"
    outputs: int = 1

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        ends = (("succeeded", 0), ("succeeded", 0), ("failed", COST))
        jobs: list[tuple[Any, ...]] = [
            (id_, end, COST, back, [], now, now) for id_, (end, back) in zip(self.ids, ends, strict=True)
        ]
        moves = [(id_, kind) for id_, (end, _) in zip(self.ids, ends, strict=True) for kind in ("hold", _closing(end))]
        account = [(OPENING - 2 * COST, 0)]
        self.tables = {"media_jobs": jobs, "transactions": moves, "accounts": account}
        self.arrivals = [arrival(0, 429), arrival(0, 200), arrival(2, 200)]
        self.report = {"checks": 100, "findings": [], "clean": True, "drift_credits": 0, "holds_open": 0}
        for id_, (end, back) in zip(self.ids, ends, strict=True):
            self.hooks.append(hook(id_, end, COST - back))
        self.hooks.append(hook(self.ids[0], "succeeded", COST, to=JOB_URL, secret=JOB_SECRET))
        self.demo(self.ids[1])

    @property
    def orders(self) -> list[Ordered]:
        providers = ("my-toy", "demo", "my-fal")
        given = [{"provider": name, "model": name, "kind": "image"} for name in providers]
        orders = [Ordered(number, offer, "a lake", job=str(self.ids[number])) for number, offer in enumerate(given)]
        orders[0].hook, orders[2].well = True, False
        return orders

    def demo(self, job: UUID) -> None:
        folder = self.state / "demo" / "jobs" / uuid4().hex
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(orjson.dumps({"reference": str(job)}))

    def change(self, number: int, **changes: Any) -> None:
        """Of a job's row."""
        names = ("id", "state", "credits_cost", "credits_refunded", "outputs", "created_at", "finished_at")
        row = dict(zip(names, self.tables["media_jobs"][number], strict=True)) | changes
        self.tables["media_jobs"][number] = tuple(row.values())

    async def rows(self, query: str, *_: object) -> list[tuple[Any, ...]]:
        table = query.partition(" FROM ")[2].partition(" ")[0]
        return self.tables.get(table, [])

    async def of_vendors(self, path: str) -> Any:
        return {"/arrivals": self.arrivals, "/hooks": self.hooks}[path]

    async def audit(self) -> dict[str, Any]:
        return self.report

    async def job(self, request: web.Request) -> web.Response:
        output = {"url": f"{self.url}/file", "content_type": "image/png", "bytes": len(PNG)}
        return web.json_response({"outputs": [output] * self.outputs})

    async def file(self, _: web.Request) -> web.Response:
        return web.Response(body=self.served, content_type=self.served_type)


def _closing(end: str) -> str:
    return "charge" if end == "succeeded" else "release"


def arrival(number: int, status: int) -> dict[str, Any]:
    return {"provider": "my-toy", "number": number, "status": status}


def hook(job: UUID, end: str, charged: int, *, to: str = ENDPOINT, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    """A webhook as it was received."""
    now, message = datetime.now(UTC), more.get("id", f"evt_{job}")
    data = {"job_id": str(job), "status": end, "credits_charged": charged}
    body = orjson.dumps({"type": f"job.{end}", "data": data}).decode()
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, now, body),
    }
    return {"to": to, "headers": headers, "body": body, "status": more.get("status", 200)}


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    records, app = Records(tmp_path / "state"), web.Application()
    app.router.add_get("/api/media/jobs/{id}/", records.job)
    app.router.add_get("/file", records.file)
    async with TestServer(app) as server:
        records.url = str(server.make_url("")).rstrip("/")
        yield records


async def faulty(records: Records, orders: list[Ordered] | None = None) -> set[str]:
    """The checks that found a fault."""
    files = frozenset({sha256(PNG).hexdigest()})
    checks = await Proof(records, orders or records.orders, OPENING, CANARY, files).run()
    return {check.name for check in checks if check.faults}


ENDED, CHARGED, BALANCE = (
    "every job has ended, one for each order",
    "one charge or one full release each",
    "the balance fell by what was charged",
)
TWICE, DEMO_TWICE = "no submission twice", "no demo submission twice"
OUTPUTS, MADE = "outputs are whole, and of the right type", "each vendor made what it was well ordered"
WEBHOOKS, INPUTS, AUDIT = "each end came by webhook, with one id", "no input is left", "the audit is clean"
PROMPTS = "no prompt and no input file is readable anywhere"

Plant = Callable[[Records], Any]
PLANTS: dict[str, tuple[str, Plant]] = {
    "a job that runs": (ENDED, lambda it: it.change(1, state="running")),
    "a job of no order": (ENDED, lambda it: it.tables["media_jobs"].append((uuid4(), *it.tables["media_jobs"][0][1:]))),
    "two charges": (CHARGED, lambda it: it.tables["transactions"].append((it.ids[0], "charge"))),
    "a charge and a release": (CHARGED, lambda it: it.tables["transactions"].append((it.ids[0], "release"))),
    "no release": (CHARGED, lambda it: it.tables["transactions"].pop()),
    "half a release": (CHARGED, lambda it: it.change(2, credits_refunded=COST // 2)),
    "credits that are gone": (BALANCE, lambda it: it.tables.update(accounts=[(OPENING - 3 * COST, 0)])),
    "a hold": (BALANCE, lambda it: it.tables.update(accounts=[(OPENING - 3 * COST, COST)])),
    "a second submission": (TWICE, lambda it: it.arrivals.append(arrival(0, 200))),
    "a second one after no answer": (TWICE, lambda it: it.arrivals.extend([arrival(1, 0), arrival(1, 429)])),
    "a success that nobody submitted": (TWICE, lambda it: it.arrivals.__delitem__(slice(0, 2))),
    "a second one to the demo": (DEMO_TWICE, lambda it: it.demo(it.ids[1])),
    "no output": (OUTPUTS, lambda it: setattr(it, "outputs", 0)),
    "half an output": (OUTPUTS, lambda it: setattr(it, "served", PNG[:50])),
    "another file": (OUTPUTS, lambda it: setattr(it, "served", PNG[:-1] + b"x")),
    "no picture": (OUTPUTS, lambda it: setattr(it, "served", bytes(len(PNG)))),
    "another type": (OUTPUTS, lambda it: setattr(it, "served_type", "image/webp")),
    "a vendor that makes nothing": (MADE, lambda it: it.change(0, state="failed", credits_refunded=COST)),
    "no webhook": (WEBHOOKS, lambda it: it.hooks.pop(1)),
    "none at the job's URL": (WEBHOOKS, lambda it: it.hooks.pop()),
    "one at another job's URL": (WEBHOOKS, lambda it: it.hooks.append(_own(it, 1))),
    "one that was refused": (WEBHOOKS, lambda it: it.hooks[1].update(status=500)),
    "a second id": (WEBHOOKS, lambda it: it.hooks.append(hook(it.ids[0], "succeeded", COST, id="evt_2"))),
    "another secret": (WEBHOOKS, lambda it: it.hooks.append(hook(it.ids[0], "succeeded", COST, secret=JOB_SECRET))),
    "a changed body": (WEBHOOKS, lambda it: it.hooks[0].update(body=it.hooks[0]["body"] + " ")),
    "another end": (WEBHOOKS, lambda it: it.hooks.append(hook(it.ids[0], "failed", COST))),
    "another charge": (WEBHOOKS, lambda it: it.hooks.append(hook(it.ids[0], "succeeded", 1))),
    "a prompt's row": (INPUTS, lambda it: it.tables.update(job_inputs=[(it.ids[0],)])),
    "a file's row": (INPUTS, lambda it: it.tables.update(job_files=[(it.ids[0],)])),
    "a finding": (AUDIT, lambda it: it.report["findings"].append({"check": "c", "subject": "s", "detail": "d"})),
    "drift": (AUDIT, lambda it: it.report.update(drift_credits=1)),
    "a prompt in a file": (PROMPTS, lambda it: (it.state / "file").write_text(f"x order-1-{CANARY} a lake")),
    "a prompt in base64": (PROMPTS, lambda it: (it.state / "db").write_bytes(base64.b64encode(CANARY.encode() * 3))),
    "a prompt in a name": (PROMPTS, lambda it: (it.state / CANARY).touch()),
    "a vendor's text in a log": (PROMPTS, lambda it: (it.state / "api.log").write_text("vendor says SECRET")),
}


def _own(it: Records, number: int) -> dict[str, Any]:
    return hook(it.ids[number], "succeeded", COST, to=JOB_URL, secret=JOB_SECRET)


async def test_without_a_fault_nothing_is_found(records: Records) -> None:
    assert await faulty(records) == set()


@pytest.mark.parametrize("plant", PLANTS)
async def test_a_planted_fault_is_found(records: Records, plant: str) -> None:
    check, change = PLANTS[plant]
    change(records)
    assert check in await faulty(records)


async def test_an_order_that_was_not_taken_is_found(records: Records) -> None:
    orders = records.orders
    orders[0].job = None
    assert ENDED in await faulty(records, orders)


async def test_each_check_has_a_planted_fault(records: Records) -> None:
    checks = await Proof(records, records.orders, OPENING, CANARY, frozenset()).run()
    assert {check for check, _ in PLANTS.values()} == {check.name for check in checks}

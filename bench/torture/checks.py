"""What must be true of every job at the end. Each check counts what it looked at, and names each fault."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import aiohttp
import orjson
from standardwebhooks import Webhook, WebhookVerificationError

from bench.torture.orders import Ordered
from tests.support import leak_scan

MAGIC = {"image/png": (b"\x89PNG",), "video/mp4": (b"ftyp",), "audio/mpeg": (b"ID3", b"\xff\xfb", b"\xff\xf3")}
NOT_ACCEPTED = frozenset({400, 401, 402, 403, 404, 409, 422, 429, 503})
"""Answers after which a vendor has certainly not taken a job."""
ENDPOINT, JOB_URL = "/hooks", "/hooks/job"
"""Where the receiver of webhooks got one."""
VENDOR = b"SECRET"
"""In each text of a vendor: in no log of ours."""


@dataclass(slots=True)
class Check:
    name: str
    looked_at: int = 0
    faults: list[str] = field(default_factory=list)


class Evidence(Protocol):
    """What is looked at: `bench.torture.stack`."""

    account: str
    token: str
    hook_secret: str
    job_secret: str

    @property
    def url(self) -> str: ...
    @property
    def state(self) -> Path: ...
    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]: ...
    async def of_vendors(self, path: str, /) -> Any: ...
    async def audit(self) -> dict[str, Any]: ...


@dataclass(slots=True)
class Proof:
    stack: Evidence
    orders: Sequence[Ordered]
    opening: int
    canary: str
    files: frozenset[str]
    """Digests of what vendors give."""
    jobs: dict[UUID, dict[str, Any]] = field(default_factory=dict)

    async def run(self) -> list[Check]:
        columns = ("id", "state", "credits_cost", "credits_refunded", "outputs", "created_at", "finished_at")
        rows = await self.stack.rows(f"SELECT {', '.join(columns)} FROM media_jobs")  # noqa: S608  # our own names
        self.jobs = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
        checks: list[tuple[str, Callable[[Check], Awaitable[None]]]] = [
            ("every job has ended, one for each order", self._ended),
            ("one charge or one full release each", self._charged),
            ("the balance fell by what was charged", self._balance),
            ("no submission twice", self._submitted),
            ("no demo submission twice", self._submitted_to_demo),
            ("outputs are whole, and of the right type", self._outputs),
            ("each vendor made what it was well ordered", self._deliveries),
            ("each end came by webhook, with one id", self._webhooks),
            ("no input is left", self._inputs),
            ("the audit is clean", self._audit),
            ("no prompt and no input file is readable anywhere", self._prompts),
        ]
        done = []
        for name, look in checks:
            check = Check(name)
            await look(check)
            done.append(check)
        return done

    async def _ended(self, check: Check) -> None:
        check.looked_at = len(self.orders)
        for order in self.orders:
            if order.job is None:
                check.faults.append(f"{order.name} was not taken: {order.answers[-3:]}")
            elif (job := self.jobs.get(UUID(order.job))) is None:
                check.faults.append(f"{order.name} is {order.job}, which the database does not know")
            elif job["state"] not in ("succeeded", "failed", "cancelled"):
                check.faults.append(f"{order.name} is {job['state']}")
        unknown = self.jobs.keys() - {UUID(order.job) for order in self.orders if order.job}
        check.faults += [f"{id_} is the job of no order" for id_ in unknown]

    async def _charged(self, check: Check) -> None:
        rows = await self.stack.rows("SELECT hold_id, kind FROM transactions WHERE hold_id IS NOT NULL ORDER BY id")
        movements: dict[UUID, list[str]] = {}
        for hold, kind in rows:
            movements.setdefault(hold, []).append(kind)
        for id_, job in self.jobs.items():
            check.looked_at += 1
            end = "charge" if job["state"] == "succeeded" else "release"
            if movements.get(id_) != ["hold", end]:
                check.faults.append(f"{id_} is {job['state']} with {movements.get(id_)}")
            if end == "release" and job["credits_refunded"] != job["credits_cost"]:
                check.faults.append(f"{id_} is {job['state']}, and {job['credits_refunded']} of it came back")

    async def _balance(self, check: Check) -> None:
        ((available, held),) = await self.stack.rows(
            "SELECT available, held FROM accounts WHERE id = %s", self.stack.account
        )
        charged = sum(job["credits_cost"] - job["credits_refunded"] for job in self.jobs.values())
        check.looked_at = charged
        if (available, held) != (self.opening - charged, 0):
            check.faults.append(f"{available} are left and {held} held of {self.opening}, {charged} were charged")

    async def _submitted(self, check: Check) -> None:
        """By the numbers in the prompts, as they arrived at vendors that nobody killed."""
        taken: Counter[int] = Counter()
        for arrival in await self.stack.of_vendors("/arrivals"):
            check.looked_at += 1
            if taken[arrival["number"]]:
                check.faults.append(f"{self._name(arrival['number'])} came again to {arrival['provider']}")
            taken[arrival["number"]] += arrival["status"] not in NOT_ACCEPTED
        succeeded = {id_ for id_, job in self.jobs.items() if job["state"] == "succeeded"}
        for order in self.orders:
            demo = order.offer["provider"] == "demo"
            if order.job and UUID(order.job) in succeeded and not taken[order.number] and not demo:
                check.faults.append(f"{order.name} has succeeded, and never came to its vendor")

    def _name(self, number: int) -> str:
        order = next(order for order in self.orders if order.number == number)
        state = self.jobs[UUID(order.job)]["state"] if order.job else None
        return f"{order.name}, {order.job}, {state}"

    async def _submitted_to_demo(self, check: Check) -> None:
        records = [orjson.loads(path.read_bytes()) for path in self.stack.state.glob("demo/jobs/*/record.json")]
        taken = Counter(record["reference"] for record in records)
        check.looked_at = len(records)
        check.faults += [f"{reference} was submitted {count} times" for reference, count in taken.items() if count > 1]

    async def _outputs(self, check: Check) -> None:
        async with aiohttp.ClientSession() as session:
            for order in self.orders:
                job = self.jobs.get(UUID(order.job)) if order.job else None
                if job is not None and job["state"] == "succeeded":
                    async for fault in self._read(session, order, check):
                        check.faults.append(f"{order.name}, {order.job}: {fault}")

    async def _read(self, session: aiohttp.ClientSession, order: Ordered, check: Check) -> AsyncIterator[str]:
        headers = {"authorization": f"Bearer {self.stack.token}"}
        async with session.get(f"{self.stack.url}/api/media/jobs/{order.job}/", headers=headers) as answer:
            outputs = (await answer.json())["outputs"]
        if not outputs:
            yield "succeeded without an output"
        for output in outputs:
            check.looked_at += 1
            async with session.get(output["url"]) as answer:
                content = await answer.read()
            if answer.status != 200 or answer.headers["content-type"] != output["content_type"]:
                yield f"its link answers {answer.status} {answer.headers.get('content-type')}"
            elif len(content) != output["bytes"] or not _whole(content, output["content_type"]):
                yield f"{len(content)} of {output['bytes']} bytes of {output['content_type']} came"
            elif order.offer["provider"] != "demo" and sha256(content).hexdigest() not in self.files:
                yield "its bytes are not those of its vendor"

    async def _deliveries(self, check: Check) -> None:
        """Most of it: a worker may be killed when nobody can know whether its vendor has the job."""
        ends: dict[str, list[str]] = {}
        for order in self.orders:
            if order.well and order.job is not None and (job := self.jobs.get(UUID(order.job))) is not None:
                check.looked_at += 1
                ends.setdefault(order.offer["provider"], []).append(job["state"])
        for vendor, states in ends.items():
            if states.count("succeeded") * 2 < len(states):
                check.faults.append(f"{vendor} made {states.count('succeeded')} of {len(states)} jobs")

    async def _webhooks(self, check: Check) -> None:
        """At least once to each receiver, with the job's state; verified as a customer's library does."""
        ids: dict[UUID, set[str]] = {}
        reached: set[tuple[UUID, str]] = set()
        for received in await self.stack.of_vendors("/hooks"):
            check.looked_at += 1
            try:
                message = verified(self._secrets()[received["to"]], received)
            except WebhookVerificationError as error:
                check.faults.append(f"{received['headers'].get('webhook-id')}: {error}")
                continue
            id_ = UUID(message["data"]["job_id"])
            ids.setdefault(id_, set()).add(received["headers"]["webhook-id"])
            reached |= {(id_, received["to"])} if received["status"] == 200 else set()
            check.faults += self._wrong_end(message, self.jobs.get(id_))
        own = {UUID(order.job) for order in self.orders if order.hook and order.job}
        for id_ in self.jobs:
            if len(ids.get(id_, ())) != 1:
                check.faults.append(f"{id_} came by {len(ids.get(id_, ()))} events")
            expected = {ENDPOINT, JOB_URL} if id_ in own else {ENDPOINT}
            got = {to for to in (ENDPOINT, JOB_URL) if (id_, to) in reached}
            if got != expected:
                check.faults.append(f"{id_} came to {sorted(got)}, not to {sorted(expected)}")

    def _secrets(self) -> dict[str, str]:
        return {ENDPOINT: self.stack.hook_secret, JOB_URL: self.stack.job_secret}

    def _wrong_end(self, message: dict[str, Any], job: dict[str, Any] | None) -> list[str]:
        data = message["data"]
        if job is None or not message["type"] == f"job.{data['status']}" == f"job.{job['state']}":
            return [f"{data['job_id']} is {message['type']} in its webhook"]
        if data["credits_charged"] != job["credits_cost"] - job["credits_refunded"]:
            return [f"{job['id']} was charged {data['credits_charged']} in its webhook"]
        return []

    async def _inputs(self, check: Check) -> None:
        check.looked_at = len(self.jobs)
        for table in ("job_inputs", "job_files"):
            rows = await self.stack.rows(f"SELECT DISTINCT job_id FROM {table}")  # noqa: S608  # our own names
            check.faults += [f"{job} still has {table}" for (job,) in rows]

    async def _audit(self, check: Check) -> None:
        report = await self.stack.audit()
        check.looked_at = report["checks"]
        check.faults += [f"{each['check']}, {each['subject']}: {each['detail']}" for each in report["findings"]]
        if not report["clean"] or report["drift_credits"] or report["holds_open"]:
            check.faults.append(f"drift {report['drift_credits']}, {report['holds_open']} holds open")

    async def _prompts(self, check: Check) -> None:
        """In all that this stack has written: data files after a checkpoint, WAL, Temporal's file, logs, outputs."""
        await self.stack.rows("CHECKPOINT")
        check.looked_at = sum(path.is_file() for path in self.stack.state.rglob("*"))
        check.faults += await asyncio.to_thread(_leaks, self.stack.state, self.canary)


def verified(secret: str, received: dict[str, Any]) -> dict[str, Any]:
    """Also of one that came minutes ago, which the library refuses: the time is as it was then."""
    sent_at = datetime.fromtimestamp(int(received["headers"]["webhook-timestamp"]), UTC)
    library = Webhook(secret)
    signature = library.sign(received["headers"]["webhook-id"], sent_at, received["body"])
    if signature not in received["headers"]["webhook-signature"].split():
        raise WebhookVerificationError("another signature")
    message: dict[str, Any] = orjson.loads(received["body"])
    return message


def _leaks(folder: Path, canary: str) -> list[str]:
    logs = {path.name: path.read_bytes() for path in folder.rglob("*.log")}
    leaks = [f"{name} has the text of a vendor" for name, log in logs.items() if VENDOR in log]
    return leaks + leak_scan.of(folder, leak_scan.spellings(canary))


def _whole(content: bytes, content_type: str) -> bool:
    begins = content[4:] if content_type == "video/mp4" else content
    return begins.startswith(MAGIC.get(content_type, (b"",)))

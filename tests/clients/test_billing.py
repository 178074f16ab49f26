"""Receipts, statements and usage over the real API: each charge is computed again from the public JSON alone."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.usage import UsageReport
from bench.chaos.receipts import faults
from db import refunds
from db.data_keys import Sealing
from db.media import MediaJobs
from db.media_orders import Order
from domain.caller import Payer
from domain.keys import digest
from domain.media import Kind, MediaRequest, Output, object_key
from domain.operations import Adjust, Reserve
from domain.pricing import FlatTerms
from domain.sealing import Wrapping
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import CREDITS, QUESTION, AccountClient
from tests.support.bank import reserve
from tests.support.doubles import usage_variants
from tests.support.stack import SECRET, Stack


def check(receipt: dict[str, Any]) -> dict[str, Any]:
    """Computes a settled charge again, and follows every credit of it through the books."""
    assert receipt["state"] == "settled"
    assert faults(receipt) == []
    return receipt


def kinds(receipt: dict[str, Any]) -> list[str]:
    return [transaction["kind"] for transaction in receipt["transactions"]]


async def test_a_finished_call(owner: AccountClient) -> None:
    receipt = check(await owner.charged("test-plain", max_tokens=500))
    assert receipt["id"].startswith("chatcmpl-")
    assert (receipt["kind"], receipt["model"], receipt["closed_by"]) == ("chat", "test-plain", "call")
    assert receipt["price"]["rates"] == {"input": "300", "output": "1500", "cached_input": "300", "cache_write": "300"}
    assert receipt["usage"] == {
        "input_tokens": 1000,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 200,
        "source": "provider",
        "meters": {"input": 1000, "output": 200},
        "service_tier": None,
    }
    assert (receipt["bounds"]["output_limit"], receipt["bounds"]["choices"]) == (500, 1)
    assert receipt["credits"] | {"held": 0} == {"held": 0, "charged": 600, "written_off": 0, "refunded": 0}
    assert kinds(receipt) == ["hold", "charge"]
    bare = await owner.get(f"/charges/{uuid.UUID(receipt['id'].removeprefix('chatcmpl-'))}")
    assert bare == receipt


async def test_every_price_that_there_is(owner: AccountClient) -> None:
    receipt = check(await owner.charged("test-tiered", max_tokens=100, n=2))
    assert [tier["above_input_tokens"] for tier in receipt["price"]["tiers"]] == [50, 900, 5000]
    assert receipt["applied"]["input"] == "40.000003"
    assert receipt["usage"]["cached_tokens"] == 601
    assert receipt["calculation"]["exact_cost"] == "21.440200891"
    assert receipt["credits"]["charged"] == 22


async def test_a_cheap_call_costs_the_minimum(owner: AccountClient) -> None:
    receipt = check(await owner.charged("test-usage-zero"))
    assert receipt["calculation"]["minimum_applied"]
    assert receipt["credits"]["charged"] == receipt["calculation"]["minimum_charge"] == 10


async def test_a_call_without_a_usable_report_was_counted(owner: AccountClient) -> None:
    receipt = check(await owner.charged("test-usage-missing"))
    assert receipt["usage"]["source"] == "counted"
    assert receipt["usage"]["input_tokens"] == receipt["bounds"]["input_estimate"]


async def test_a_stream_that_broke_costs_what_came_without_the_minimum(owner: AccountClient) -> None:
    receipt = check(await owner.closed(await owner.streamed("test-cut")))
    assert 0 < receipt["credits"]["charged"] < 10
    assert not receipt["calculation"]["minimum_applied"]


@pytest.mark.parametrize("model", usage_variants.USAGES)
async def test_usage_that_is_told_oddly(owner: AccountClient, model: str) -> None:
    receipt = check(await owner.closed(await owner.streamed(f"test-{model}")))
    assert receipt["credits"]["charged"] == usage_variants.USAGES[model][1]


async def test_a_client_that_left_finds_its_charge(owner: AccountClient) -> None:
    charge = await owner.streamed("test-endless", chunks=12)
    receipt = check(await owner.closed(charge))
    assert receipt["usage"]["output_tokens"] > 10
    (listed,) = (await owner.get("/charges/"))["data"]
    assert (listed["id"], listed["credits"]) == (charge, receipt["credits"])


async def test_a_hold_that_grew(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(10_000)
    receipt = check(await poor.closed(await poor.streamed("test-metered")))
    assert len(receipt["extensions"]) > 1
    assert kinds(receipt) == ["hold", *["extend"] * len(receipt["extensions"]), "charge"]


async def test_what_the_balance_did_not_cover_is_written_off(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(1000)
    receipt = check(await poor.charged("test-usage-huge", max_tokens=200))
    assert receipt["credits"]["charged"] == 1000
    assert receipt["credits"]["written_off"] == 27_300 - 1000


async def test_a_refund_shows_beside_its_charge(owner: AccountClient) -> None:
    charged = await owner.charged("test-plain")
    async with owner.database.transaction() as session:
        await refunds.refund(session, uuid.UUID(charged["id"].removeprefix("chatcmpl-")), "It was our fault.")
    receipt = check(await owner.get(f"/charges/{charged['id']}/"))
    assert receipt["credits"]["refunded"] == receipt["credits"]["charged"] == 600
    assert kinds(receipt) == ["hold", "charge", "refund"]
    assert receipt["transactions"][-1]["note"] == "It was our fault."


async def test_a_media_job_has_a_flat_price(owner: AccountClient) -> None:
    jobs = MediaJobs(owner.database, Sealing(Wrapping.of(SECRET)), output_lifetime=timedelta(hours=1))
    request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="A lake")
    price = FlatTerms(500, "v1")
    ordered = Order(uuid.uuid4(), Payer(owner.customer.digest), Kind.IMAGE, "demo-image", "demo", price, request)
    await jobs.accept(ordered)
    waiting = await owner.get(f"/charges/{ordered.job_id}/")
    assert (waiting["state"], waiting["usage"], waiting["calculation"]) == ("open", None, None)
    job = await jobs.begin(ordered.job_id)
    key = object_key(job.account_id, job.id, 0, "png")
    await jobs.succeed(ordered.job_id, [Output(object_key=key, content_type="image/png", bytes=3)])
    receipt = check(await owner.get(f"/charges/{ordered.job_id}/"))
    assert (receipt["id"], receipt["kind"], receipt["closed_by"]) == (str(ordered.job_id), "image", "job")
    assert (receipt["price"]["flat"], receipt["usage"]["source"]) == ("500", "flat")


async def expire(stack: Stack, operation: Reserve, relayed: int) -> None:
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as connection:
        await connection.execute(
            "UPDATE holds SET lease_until = now() - interval '1 second', relayed_output = %s WHERE id = %s",
            [relayed, operation.hold_id],
        )


async def test_a_call_whose_process_died_is_swept(stack: Stack, owner: AccountClient) -> None:
    broken, silent = reserve(owner.customer, 100), reserve(owner.customer, 50)
    for operation, relayed in ((broken, 30), (silent, 0)):
        await owner.ledger.ask(operation)
        await expire(stack, operation, relayed)
    receipt = check(await owner.closed(str(broken.hold_id)))
    assert (receipt["closed_by"], receipt["usage"]["source"]) == ("sweeper", "estimated")
    assert receipt["credits"]["charged"] == 30
    released = await owner.closed(str(silent.hold_id))
    assert (released["state"], released["calculation"], kinds(released)) == ("void", None, ["hold", "release"])


async def test_a_charge_is_its_owners_alone(new_owner: OpenAccountClient) -> None:
    ann, bob = await new_owner(), await new_owner()
    receipt = await ann.charged("test-plain")
    for path in (receipt["id"], str(uuid.uuid4()), "chatcmpl-", "nonsense", "chatcmpl-%00"):
        answer = await bob.http.get(f"/api/billing/charges/{path}/")
        assert answer.status_code == 404, path
    assert (await bob.get("/charges/"))["data"] == []


async def pages(owner: AccountClient, path: str, **query: object) -> list[dict[str, Any]]:
    charges: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await owner.get(path, **query, **cursor)
        charges += page["data"]
        assert page["has_more"] is (page["next"] is not None)
        if not page["has_more"]:
            return charges
        cursor = {"cursor": page["next"]}


async def test_charges_are_listed_in_pages_and_filtered(owner: AccountClient) -> None:
    ids = [(await owner.charged("test-plain"))["id"] for _ in range(5)]
    other = await owner.charged("test-usage-zero")
    listed = await pages(owner, "/charges/", limit=2)
    assert [charge["id"] for charge in listed] == [other["id"], *reversed(ids)]
    assert [charge["id"] for charge in await pages(owner, "/charges/", model="test-usage-zero")] == [other["id"]]
    assert len(await pages(owner, "/charges/", key_id=other["key_id"], limit=4)) == 6
    assert await pages(owner, "/charges/", key_id=uuid.uuid4()) == []
    third = (await owner.get(f"/charges/{ids[2]}/"))["transactions"][0]["created_at"]
    assert [charge["id"] for charge in await pages(owner, "/charges/", to=third)] == [ids[1], ids[0]]
    assert len(await pages(owner, "/charges/", since=third, limit=3)) == 4


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("/charges/", {"cursor": "nonsense"}, "cursor"),
        ("/charges/", {"limit": 0}, "limit"),
        ("/charges/", {"from": "yesterday"}, "from"),
        ("/charges/", {"from": "2026-01-01T00:00:00"}, "from"),
        ("/charges/", {"from": "2026-01-02", "to": "2026-01-01"}, "to"),
        ("/charges/", {"key_id": "mine"}, "key_id"),
        ("/charges/", {"model": "\0"}, "model"),
        ("/charges/", {"colour": "blue"}, "colour"),
        ("/statement/", {"from": "2999-01-01"}, "to"),
        ("/statement/", {"cursor": "nonsense"}, "cursor"),
        ("/usage/", {"group_by": "colour"}, "group_by"),
        ("/usage/", {"from": "2026-01-01", "to": "2026-01-01"}, "to"),
        ("/usage/", {"split_by": "day"}, "split_by"),
        ("/usage/", {"split_by": "model", "group_by": "key"}, "split_by"),
        ("/usage/", {"split_by": "model", "from": "2026-01-01", "to": "2026-04-12"}, "from"),
        ("/usage/", {"split_by": "model", "top": 21}, "top"),
    ],
)
async def test_queries_that_cannot_be_answered(
    owner: AccountClient, path: str, query: dict[str, str], param: str
) -> None:
    answer = await owner.http.get(f"/api/billing{path}", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_statement_adds_up(owner: AccountClient) -> None:
    before = (await owner.get("/statement/", limit=1))["data"][0]["created_at"]
    receipt = await owner.charged("test-plain")
    await owner.ledger.ask(Adjust(owner.customer.account_id, -7, f"adjust:{uuid.uuid4()}", "A correction."))
    open_call = reserve(owner.customer, 50)
    await owner.ledger.ask(open_call)
    period = {"since": before, "to": "2999-01-01"}
    first = await owner.get("/statement/", **period, limit=2)
    assert first["from"] == before
    assert first["to"] < datetime.now(UTC).isoformat()  # of what is yet to come nothing can be told
    moved = await pages(owner, "/statement/", **period, limit=2)
    assert [entry["kind"] for entry in moved] == ["grant", "hold", "charge", "adjust", "hold"]
    assert [entry["charge"] for entry in moved[:3]] == [None, receipt["id"], receipt["id"]]
    assert (moved[3]["balance"], moved[3]["note"]) == (-7, "A correction.")
    assert first["opening"] == {"balance": 0, "held": 0}
    assert first["closing"] == {"balance": CREDITS - 600 - 7 - 50, "held": 50}
    for side in ("balance", "held"):
        assert first["opening"][side] + sum(entry[side] for entry in moved) == first["closing"][side]
    assert await pages(owner, "/statement/", **period, limit=1) == moved
    later = await owner.get("/statement/", since=moved[3]["created_at"], to=moved[4]["created_at"])
    assert later["opening"] == {"balance": CREDITS - 600, "held": 0}
    assert later["closing"] == {"balance": CREDITS - 607, "held": 0}
    assert [entry["kind"] for entry in later["data"]] == ["adjust"]


async def test_a_cursor_of_a_statement_keeps_its_first_page(new_owner: OpenAccountClient) -> None:
    """Period and balances; and it is good for its account alone, as it is."""
    ann, bob = await new_owner(), await new_owner()
    for _ in range(2):
        await ann.charged("test-plain")
    first = await ann.get("/statement/", limit=2, to="2999-01-01")
    await ann.charged("test-plain")
    second = await ann.get("/statement/", limit=2, cursor=first["next"])
    for name in ("from", "to", "opening", "closing"):
        assert second[name] == first[name]
    assert first["closing"]["balance"] == CREDITS - 1200
    rest = await ann.get("/statement/", limit=100, cursor=first["next"])
    moved = sum(entry["balance"] for entry in first["data"] + rest["data"])
    assert first["opening"]["balance"] + moved == first["closing"]["balance"]
    changed = ("B" if first["next"][0] == "A" else "A") + first["next"][1:]
    for owner, cursor in ((bob, first["next"]), (ann, changed), (ann, first["next"][:-4]), (ann, "A" * 60)):
        answer = await owner.http.get("/api/billing/statement/", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cursor")


async def test_usage_is_rolled_up(owner: AccountClient) -> None:
    receipts = [await owner.charged(model) for model in ("test-plain", "test-plain", "test-usage-zero")]
    total = {"calls": 3, "input_tokens": 2000, "output_tokens": 400, "credits": 1210}
    by_day = await owner.get("/usage/")
    assert by_day["total"] == total
    assert [group["day"] for group in by_day["data"]] == [receipts[0]["closed_at"][:10]]
    by_model = await owner.get("/usage/", group_by="model")
    assert [(group["model"], group["calls"], group["credits"]) for group in by_model["data"]] == [
        ("test-plain", 2, 1200),
        ("test-usage-zero", 1, 10),
    ]
    names = {group["model"]: group["model_name"] for group in by_model["data"]}
    assert names == {receipt["model"]: receipt["model_name"] for receipt in receipts}
    (by_key,) = (await owner.get("/usage/", group_by="key"))["data"]
    assert by_key == {"key_id": receipts[0]["key_id"], "key_name": "first"} | total
    assert (await owner.get("/usage/", since="2020-01-01", to="2020-02-01"))["data"] == []
    assert (await owner.get("/charges/"))["data"][0]["key_name"] == "first"


async def test_days_are_split_by_what_cost_most(owner: AccountClient) -> None:
    for model in ("test-plain", "test-plain", "test-usage-zero", "test-tiered"):
        await owner.charged(model)
    report = await owner.get("/usage/", split_by="model", top=1)
    (day,) = report["data"]
    named, others = report["groups"]
    assert (named["model"], named["calls"], named["credits"]) == ("test-plain", 2, 1200)
    assert (others["others"], others["calls"]) == (True, 2)
    assert day["parts"] == report["groups"]
    assert sum(part["credits"] for part in day["parts"]) == day["credits"] == report["total"]["credits"]
    everything = await owner.get("/usage/", split_by="model")
    assert [part["credits"] for part in everything["groups"]] == sorted(
        (part["credits"] for part in everything["groups"]), reverse=True
    )
    assert not any("others" in part for part in everything["groups"])
    (by_key,) = (await owner.get("/usage/", split_by="key"))["data"][0]["parts"]
    assert (by_key["key_name"], by_key["credits"]) == ("first", day["credits"])
    empty = await owner.get("/usage/", split_by="key", since="2020-01-01", to="2020-02-01")
    assert (empty["data"], empty["groups"], empty["models"], empty["keys"]) == ([], [], [], [])
    assert empty["returned"] == {"credits": 0, "calls": 0}


async def test_a_report_is_written_as_its_model_has_it(owner: AccountClient) -> None:
    for model in ("test-plain", "test-tiered"):
        await owner.charged(model)
    split = [f"split_by={by}&top={top}" for by in ("model", "key") for top in (1, 2)]
    for query in ("", "group_by=model", "group_by=key", *split):
        answer = await owner.http.get(f"/api/billing/usage/?{query}")
        fields = answer.json()
        report = UsageReport.model_validate({**fields, "since": fields["from"], "until": fields["to"]})
        assert report.model_dump_json(exclude_unset=True, by_alias=True) == answer.text


async def test_a_report_for_people_names_all_and_tells_what_came_back(owner: AccountClient) -> None:
    receipts = [await owner.charged(model) for model in ("test-plain", "test-usage-zero")]
    failed = await owner.http.post("/v1/chat/completions", json={"model": "demo-chat-fail", **QUESTION})
    assert failed.status_code == 502
    (released,) = [charge for charge in (await owner.get("/charges/"))["data"] if charge["state"] == "void"]
    report = await owner.get("/usage/", split_by="key", top=1)
    for name, group_by in (("models", "model"), ("keys", "key")):
        assert report[name] == (await owner.get("/usage/", group_by=group_by))["data"]
    back = [one["credits"]["held"] - one["credits"]["charged"] for one in (*receipts, released)]
    assert report["returned"] == {"credits": sum(back), "calls": 1}
    moved = [entry for entry in (await owner.get("/statement/", limit=100))["data"] if entry["kind"] != "grant"]
    assert sum(entry["balance"] for entry in moved if entry["kind"] in ("charge", "release")) == sum(back)


async def test_a_key_without_the_scope_sees_nothing(owner: AccountClient) -> None:
    response = await owner.http.post("/api/chat/keys/", json={"name": "chat only", "scopes": ["chat"]})
    headers = {"authorization": f"Bearer {response.json()['key']}"}
    assert digest(response.json()["key"]) != owner.customer.digest
    for path in ("charges/", f"charges/{uuid.uuid4()}/", "statement/", "usage/"):
        answer = await owner.http.get(f"/api/billing/{path}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    answer = await owner.http.post("/api/billing/quote/", json={"model": "test-plain", **QUESTION}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("limit", [10, 300])
async def test_output_above_the_limit_that_was_sent_is_not_billed(owner: AccountClient, limit: int) -> None:
    receipt = check(await owner.closed(await owner.streamed("test-above-the-limit", max_tokens=limit)))
    assert receipt["usage"]["output_tokens"] == limit
    assert receipt["credits"]["charged"] == -(-(15 * 300 + limit * 1500) // 1000)
    assert receipt["credits"]["written_off"] == 0


async def test_credits_that_came_in_are_listed_without_calls(owner: AccountClient) -> None:
    await owner.charged("test-plain")
    await owner.ledger.ask(Adjust(owner.customer.account_id, -7, f"adjust:{uuid.uuid4()}", "A correction."))
    listed = await pages(owner, "/grants/", limit=1)
    assert [(entry["kind"], entry["credits"], entry["note"]) for entry in listed] == [
        ("adjust", -7, "A correction."),
        ("grant", CREDITS, None),
    ]
    moved = {entry["id"] for entry in (await owner.get("/statement/"))["data"]}
    assert {entry["id"] for entry in listed} <= moved


async def test_a_plan_and_what_can_be_bought(owner: AccountClient, stack: Stack) -> None:
    nothing = await owner.get("/plan/")
    assert (nothing["plan"], nothing["balance"], nothing["buy_url"]) == (None, CREDITS, None)
    assert nothing["plans"] == [{"id": "pro", "name": "pro", "credits_per_month": 5000}]
    assert (nothing["packs"], nothing["credits_per_unit"]) == ([], {"usd": "100"})
    account = str(owner.customer.account_id)
    stack.yout("plans", "start", account, "pro")
    started = (await owner.get("/plan/"))["plan"]
    assert (started["name"], started["active"], started["until"]) == ("pro", True, None)
    assert started["credits_per_month"] == 5000
    assert started["next_grant_at"] > datetime.now(UTC).isoformat()
    stack.yout("plans", "end", account)
    ended = (await owner.get("/plan/"))["plan"]
    assert (ended["active"], ended["next_grant_at"]) == (False, None)
    assert ended["until"] is not None

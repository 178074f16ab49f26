"""Activity, statements, plan and credits as a browser without a script uses them: pages say what the API says."""

import csv
import io
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tests.clients.conftest import OpenAccountClient
from tests.clients.test_pages import create_key
from tests.support.account_client import QUESTION
from web.numbers import credits

HOSTILE = '=HYPERLINK("//x")<b>' + "n" * 80
FREE = 50_000
MONTH = "2020-01"


async def call(member: httpx2.AsyncClient, model: str = "test-plain") -> None:
    """As the Playground does: without a key."""
    answer = await member.post("/api/chat/stream/", json={"model": model, **QUESTION})
    assert answer.status_code == 200, answer.text


async def call_with(member: httpx2.AsyncClient, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    answer = await member.post("/v1/chat/completions", json={"model": "test-plain", **QUESTION}, headers=headers)
    assert answer.status_code == 200, answer.text


async def charges(member: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await member.get("/api/billing/charges/", params=query)).json()["data"]
    return listed


async def page(member: httpx2.AsyncClient, path: str, status: int = 200) -> str:
    answer = await member.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def rows(member: httpx2.AsyncClient, path: str) -> list[dict[str, str]]:
    answer = await member.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    return list(csv.DictReader(io.StringIO(answer.text)))


def shown_ids(text: str) -> list[str]:
    return re.findall(r'href="/activity/charges/(chatcmpl-[0-9a-f]+)" data-panel', text)


async def test_an_account_without_a_charge(member: httpx2.AsyncClient) -> None:
    text = await page(member, "/activity")
    assert text.count('class="empty"') == 1
    assert "No charge yet" in text
    assert 'id="receipt"' not in text
    assert "No movement in this month" in await page(member, f"/activity/statement?month={MONTH}")
    assert await rows(member, "/activity/charges.csv") == []


async def test_figures_bars_charges_and_a_receipt(member: httpx2.AsyncClient) -> None:
    for model in ("test-plain", "test-plain", "test-usage-zero"):
        await call(member, model)
    text = await page(member, "/activity")
    assert '<span class="value">1,210</span>' in text
    assert '<span class="value">3</span>' in text
    assert text.count('class="fill-s') == 2
    assert "<caption" in text
    assert " style=" not in text
    listed = await charges(member)
    assert shown_ids(text) == [charge["id"] for charge in listed]
    assert "Why 10 credits?" in text  # the latest, beside the list
    chosen = await page(member, f"/activity?charge={listed[-1]['id']}&by=key")
    assert "Why 600 credits?" in chosen
    assert "Playground and Studio" in chosen
    alone = await page(member, f"/activity/charges/{listed[-1]['id']}")
    for step in ("Held before the call", "1,000 tokens in", "200 tokens out", "Rounded up, once", "Came back"):
        assert step in alone
    assert "Counted by the provider" in alone
    assert "Every successful call costs at least 10" in text


async def test_filters_pages_and_dates(member: httpx2.AsyncClient) -> None:
    await call(member, "test-usage-zero")
    for _ in range(25):
        await call(member)
    listed = await charges(member, limit="100")
    first = await page(member, "/activity")
    older = re.search(r'href="(/activity\?[^"]*cursor=[^"]+)"', first)
    assert older is not None
    second = await page(member, older[1].replace("&amp;", "&"))
    assert shown_ids(first) + shown_ids(second) == [charge["id"] for charge in listed]
    filtered = await page(member, "/activity?model=test-usage-zero")
    assert shown_ids(filtered) == [listed[-1]["id"]]
    assert len(await rows(member, "/activity/charges.csv?model=test-usage-zero")) == 1
    assert len(await rows(member, "/activity/charges.csv")) == 26
    days = sorted(charge["created_at"][:10] for charge in listed)
    assert len(shown_ids(await page(member, f"/activity?from={days[0]}&to={days[-1]}"))) == 25
    assert shown_ids(await page(member, "/activity?from=2020-01-01&to=2020-01-31")) == []


@pytest.mark.parametrize(
    "query", ["from=yesterday", "from=2020-02-01&to=2020-01-01", "from=2020-01-01&to=2020-12-31", "from=%3Cb%3E"]
)
async def test_dates_that_are_none_have_a_fault_at_their_field(member: httpx2.AsyncClient, query: str) -> None:
    text = await page(member, f"/activity?{query}", 400)
    assert 'id="from-fault"' in text
    assert "<b>" not in text.partition('id="from"')[2].partition(">")[0]


@pytest.mark.parametrize("query", ["cursor=nonsense", "key=mine", "model=%00"])
async def test_a_filter_that_cannot_be_is_told(member: httpx2.AsyncClient, query: str) -> None:
    assert 'role="alert"' in await page(member, f"/activity?{query}", 400)


async def test_what_cannot_be_leads_back_to_the_page(member: httpx2.AsyncClient) -> None:
    for path, back in (
        ("/activity/statement?month=2020-01&cursor=x", "/activity/statement?month=2020-01"),
        ("/plan?cursor=x", "/plan"),
        ("/activity/charges.csv?key=mine", "/activity?key=mine"),
    ):
        answer = await member.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, back)


async def test_a_statement_names_models_as_the_list_of_charges_does(member: httpx2.AsyncClient) -> None:
    await call(member, "demo-chat")
    [charge] = await charges(member)
    assert charge["model_name"] != charge["model"]
    statement = await page(member, "/activity/statement")
    assert f'dir="auto">{charge["model_name"]}<' in statement
    assert charge["model"] not in statement


async def test_hostile_names_are_escaped_and_compute_nothing(member: httpx2.AsyncClient) -> None:
    created = await create_key(member, name=HOSTILE)
    token = re.search(r"yout-[0-9A-Za-z]{40,}", created.text)
    assert token is not None
    await call_with(member, token[0])
    text = await page(member, "/activity?by=key")
    assert "&lt;b&gt;nnn" in text
    assert "<b>nnn" not in text
    (row,) = await rows(member, "/activity/charges.csv")
    assert row["key"] == f"'{HOSTILE}"
    assert (row["charged"], row["model"], row["source"]) == ("600", "test-plain", "provider")


async def test_nothing_of_another_account_is_shown(member: httpx2.AsyncClient, new_owner: OpenAccountClient) -> None:
    other = await (await new_owner()).charged("test-plain")
    text = await page(member, f"/activity/charges/{other['id']}", 404)
    assert "This charge has no receipt" in text
    assert 'id="receipt"' not in await page(member, f"/activity?charge={other['id']}")
    for path in (str(uuid.uuid4()), "nonsense", "%00"):
        await page(member, f"/activity/charges/{path}", 404)


async def test_a_statement_its_file_and_the_figures_are_one(member: httpx2.AsyncClient) -> None:
    for _ in range(14):
        await call(member)
    text = await page(member, "/activity/statement")
    assert "Opening balance" in text
    later = re.search(r'href="(/activity/statement\?[^"]*cursor=[^"]+)"', text)
    assert later is not None
    text += await page(member, later[1].replace("&amp;", "&"))
    opening, *moved, closing = await rows(member, "/activity/statement.csv")
    assert (opening["kind"], closing["kind"]) == ("opening", "closing")
    for side in ("balance", "held"):
        assert int(opening[side]) + sum(int(row[side]) for row in moved) == int(closing[side])
    assert int(closing["balance"]) == FREE - 14 * 600
    body = re.findall(r"<tr><td>.*?</tr>", text, re.DOTALL)
    cells = [re.findall(r'data-label="(?:Balance|Held)">(.*?)</td>', row) for row in body]
    written = [[re.sub(r"<.*?>|\+", "", cell) for cell in row] for row in cells]
    assert written == [[credits(int(row[side])) for side in ("balance", "held")] for row in moved]
    assert "8,400" in await page(member, "/activity")
    assert len(moved) == 1 + 2 * 14


async def test_months(member: httpx2.AsyncClient) -> None:
    now = datetime.now(UTC)
    present = await page(member, "/activity/statement")
    assert f"<b>{now:%B %Y}</b>" in present
    assert 'rel="next"' not in present
    past = await page(member, f"/activity/statement?month={MONTH}")
    assert "month=2019-12" in past
    assert "month=2020-02" in past
    for odd in ("2999-01", "0001-01", "x", "2020-13"):
        assert f"<b>{now:%B %Y}</b>" in await page(member, f"/activity/statement?month={odd}")


async def test_plan_and_credits(member: httpx2.AsyncClient) -> None:
    text = await page(member, "/plan")
    assert credits(FREE) in text
    assert "You have no plan." in text
    assert "5,000" in text  # what the catalog's plan gives a month
    assert "Ask the operator" in text
    assert "Credits came in" in text

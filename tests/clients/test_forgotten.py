"""What the owner of an account finds of calls that are older than details are kept: the API itself forgets them."""

from tests.support.account_client import CREDITS, AccountClient
from tests.support.backdate import backdate
from tests.support.stack import Stack, eventually


async def test_an_old_charge_says_that_its_details_are_gone(owner: AccountClient, stack: Stack) -> None:
    old = await owner.charged("test-plain", max_tokens=500)
    renamed = await backdate(stack.owner_url, owner.customer.account_id, 100)
    new = await owner.charged("test-plain", max_tokens=500)
    (gone,) = renamed.values()

    async def forgotten() -> bool:
        return (await owner.http.get(f"/api/billing/charges/{gone}/")).status_code == 404

    assert await eventually(forgotten)
    answer = await owner.http.get(f"/api/billing/charges/chatcmpl-{gone.hex}/")
    assert answer.status_code == 404
    assert "no longer kept" in answer.json()["error"]["message"]
    assert [charge["id"] for charge in (await owner.get("/charges/"))["data"]] == [new["id"]]

    spent = old["credits"]["charged"] + new["credits"]["charged"]
    statement = await owner.get("/statement/", since="2020-01-01T00:00:00Z")
    assert statement["opening"] == {"balance": 0, "held": 0}
    assert statement["closing"] == {"balance": CREDITS - spent, "held": 0}
    assert sum(entry["balance"] for entry in statement["data"]) == CREDITS - spent
    of_old = [entry for entry in statement["data"] if entry["charge"] == str(gone)]
    assert [entry["kind"] for entry in of_old] == ["hold", "charge"]
    assert sum(entry["balance"] for entry in of_old) == -old["credits"]["charged"]
    usage = await owner.get("/usage/", since="2020-01-01", group_by="model")
    assert (usage["total"]["calls"], usage["total"]["credits"]) == (2, spent)

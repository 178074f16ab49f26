"""What becomes of a stream that runs when its key is rotated or revoked, in the same process or another."""

from dataclasses import replace

import httpx2
import psycopg

from dev import ports
from tests.clients.test_key_rotation import PATH, bearer, made
from tests.support.account_client import QUESTION, AccountClient
from tests.support.stack import Stack, eventually


async def renewed(stack: Stack, owner: AccountClient, times: int = 2) -> None:
    """Wait until the owner's only open call was renewed: the second time surely after this began."""
    query = "SELECT max(lease_until) FROM holds WHERE account_id = %s AND state = 'open'"
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:

        async def lease() -> object:
            row = await (await connection.execute(query, [owner.customer.account_id])).fetchone()
            assert row is not None
            assert row[0] is not None, "no call is open any more"
            return row[0]

        for _ in range(times):
            before = await lease()

            async def changed(before: object = before) -> bool:
                return await lease() != before

            assert await eventually(changed)


async def test_a_rotation_cuts_no_running_stream_and_a_revocation_in_another_process_does(
    owner: AccountClient, stack: Stack
) -> None:
    key = await made(owner)
    other = replace(stack, port=ports.free())
    call = {"model": "test-endless", **QUESTION, "stream": True}
    headers = bearer(owner.customer.token)
    with other.running("api"):
        async with (
            httpx2.AsyncClient(base_url=other.url, headers=headers, timeout=30) as elsewhere,
            owner.http.stream("POST", "/v1/chat/completions", json=call, headers=bearer(key["key"])) as stream,
        ):
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            charge = (await anext(lines)).partition('"id":"')[2].partition('"')[0]
            second = await elsewhere.post(f"{PATH}{key['id']}/rotate/", json={"grace_seconds": 0})
            assert second.status_code == 200
            assert (await owner.http.get("/v1/models", headers=bearer(key["key"]))).status_code == 401
            await renewed(stack, owner)
            assert "and more" in "".join([await anext(lines) for _ in range(100)])
            assert (await elsewhere.post(f"{PATH}{key['id']}/revoke/")).status_code == 200
            last = [line async for line in lines if line][-1]
            assert '"code":"invalid_api_key"' in last
            assert (await owner.closed(charge))["credits"]["charged"] > 0
            for http in (owner.http, elsewhere):
                answer = await http.get("/v1/models", headers=bearer(second.json()["key"]))
                assert answer.status_code == 401

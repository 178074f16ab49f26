"""A secret serves its own purpose alone, while it lives. Elsewhere and afterwards it is as one that never was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg

from gateway import sign_in, sign_up
from tests.clients.test_conversations import made
from tests.clients.test_shares import share
from tests.support.account_client import AccountClient
from tests.support.signed_in import SAME_ORIGIN, cookie_of
from tests.support.stack import Stack

NEVER_WAS = "Q" * 43
OUTPUT = "/media/" + "0f" * 16 + "/" + "a1" * 16 + "/0.png?exp=9999999999&sig="
CONVERSATIONS = "/api/chat/conversations/"
PURPOSES: dict[str, Callable[[str], dict[str, Any]]] = {
    "session": lambda value: {"url": "/api/auth/me/", "headers": {"cookie": f"yout={value}"}},
    "key": lambda value: {"url": "/v1/models", "headers": {"authorization": f"Bearer {value}"}},
    "visitor": lambda value: {"url": "/api/chat/limit/", "headers": {"cookie": f"yout-visitor={value}"}},
    "reset": lambda value: {"url": "/api/auth/reset/confirm/", "json": {"token": value, "password": "a long sentence"}},
    "verify": lambda value: {"url": "/api/auth/verify/", "json": {"token": value}},
    "slug": lambda value: {"url": f"/c/{value}"},
    "cursor": lambda value: {"url": CONVERSATIONS, "params": {"cursor": value}},
    "link": lambda value: {"url": OUTPUT + value},
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser without an account, and an account's program."""

    web: httpx2.AsyncClient
    owner: AccountClient

    async def at(self, purpose: str, value: str) -> tuple[int, bool, str]:
        """What a client learns. A visitor that is not known gets the cookie of a new one."""
        request = PURPOSES[purpose](value)
        client = self.owner.http if purpose == "cursor" else self.web
        answer = await client.request("POST" if "json" in request else "GET", **request)
        self.web.cookies.clear()
        return answer.status_code, "yout-visitor" in answer.headers.get("set-cookie", ""), answer.text


async def genuine(web: httpx2.AsyncClient, owner: AccountClient) -> dict[str, str]:
    """A living value for each purpose, but for the link to an output."""
    email = f"{owner.customer.account_id.hex}@example.test"
    for _ in range(2):
        await made(owner, title="Mountains")
    page = (await owner.http.get(CONVERSATIONS, params={"limit": 1})).json()
    limit = await web.get("/api/chat/limit/")
    web.cookies.clear()
    async with owner.database.transaction() as session:
        links = [await sign_in.operators_reset_link(session, email), await sign_up.operators_link(session, email)]
    reset, verify = (link.secret for link in links if link is not None)
    return {
        "session": await cookie_of(owner.database, owner.customer.account_id),
        "key": owner.customer.token,
        "visitor": limit.cookies["yout-visitor"],
        "reset": reset,
        "verify": verify,
        "slug": (await share(owner, title="Mountains"))["slug"],
        "cursor": page["next"],
    }


async def test_a_secret_opens_no_other_door(owner: AccountClient, stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN, timeout=30) as web:
        visit, values = Visit(web, owner), await genuine(web, owner)
        for purpose in PURPOSES:
            unknown = await visit.at(purpose, NEVER_WAS)
            assert purpose == "visitor" or unknown[0] in (400, 401, 403, 404), (purpose, unknown)
            for other, value in values.items():
                assert other == purpose or await visit.at(purpose, value) == unknown, (purpose, other)
            assert purpose not in values or await visit.at(purpose, values[purpose]) != unknown, purpose


# Maintenance deletes a row as soon as it has expired: each statement ends the rows of its purpose alone.
_END_OF_LINK = "UPDATE one_time_links SET expires_at = now() - interval '1 second' WHERE user_id = {user}"
ENDS = {
    "session": "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = {user}",
    "reset": _END_OF_LINK + " AND purpose = 'reset'",
    "verify": _END_OF_LINK + " AND purpose = 'verify'",
    "slug": """UPDATE shares SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 second'
        WHERE account_id = %(account)s""",
}
USER = "(SELECT id FROM users WHERE account_id = %(account)s)"


async def test_what_has_expired_is_as_what_never_was(owner: AccountClient, stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN, timeout=30) as web:
        visit, values = Visit(web, owner), await genuine(web, owner)
        for purpose, statement in ENDS.items():
            with psycopg.connect(stack.owner_url) as connection:
                ended = connection.execute(statement.format(user=USER).encode(), {"account": owner.customer.account_id})
                assert ended.rowcount > 0, purpose
            assert await visit.at(purpose, values[purpose]) == await visit.at(purpose, NEVER_WAS), purpose

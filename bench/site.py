"""The web app on a stack of its own, and somebody who is signed in and can pay."""

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.older import checked_out
from bench.stack import HERE, STATE, Api, Checkout, Stack

OPEN = {"YOUT_EMAIL_VERIFICATION": "false"}
RICH = "UPDATE accounts SET available = 10 ^ 12 WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Site:
    """One tree with its own database, and a browser that is signed in."""

    name: str
    stack: Stack
    api: Api
    browser: aiohttp.ClientSession
    account: str

    @property
    def cookies(self) -> list[Mapping[str, str]]:
        """For a browser of Playwright."""
        return [{"name": cookie.key, "value": cookie.value, "url": self.api.url} for cookie in self.browser.cookie_jar]


@asynccontextmanager
async def work_folder(name: str) -> AsyncIterator[Path]:
    STATE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=STATE))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def trees(folder: Path, against: str) -> AsyncIterator[list[tuple[str, Checkout]]]:
    """This tree, after the commit that it is compared with, if there is one."""
    async with AsyncExitStack() as ending:
        older = (
            [(against, await ending.enter_async_context(checked_out(against, folder / "checkout")))] if against else []
        )
        yield [*older, ("this tree", HERE)]


@asynccontextmanager
async def started(name: str, stack: Stack, more: Mapping[str, str] | None = None) -> AsyncIterator[Site]:
    """Open an account that can pay. A value of `more` that is empty leaves the setting at its default."""
    async with AsyncExitStack() as ending:
        ending.push_async_callback(stack.stop)
        await stack.start(0)
        given = stack.environment | OPEN | dict(more or {})
        api = Api(stack.checkout, {key: value for key, value in given.items() if value}, stack.folder / "api.log")
        ending.push_async_callback(api.stop)
        await api.start()
        own = {"sec-fetch-site": "same-origin", "accept-encoding": "gzip"}
        jar = aiohttp.CookieJar(unsafe=True)
        browser = await ending.enter_async_context(aiohttp.ClientSession(api.url, headers=own, cookie_jar=jar))
        person = {"email": f"{uuid.uuid4().hex}@example.com", "password": uuid.uuid4().hex}
        async with browser.post("/api/auth/signup/", json=person) as answer:
            answer.raise_for_status()
        ((account,),) = await stack.rows("SELECT account_id FROM users WHERE email = %s", person["email"])
        await stack.rows(RICH, account)
        yield Site(name, stack, api, browser, account)

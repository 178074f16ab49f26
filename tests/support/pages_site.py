"""Pages of the web app for tests: an API that shows them, and browsers without a script."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx2
import pytest

from dev import ports
from tests.support.stack import Stack

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
BROWSER = {"accept": "text/html,application/xhtml+xml"}
PASSWORD = "correct horse battery"
OPEN = {"YOUT_EMAIL_VERIFICATION": "false", "YOUT_TRUSTED_PROXIES": "127.0.0.0/8"}
"""Settings of a server whose accounts open at once, and whose callers choose their network."""


def network() -> dict[str, str]:
    """Return the headers of somebody in a network of their own."""
    words = uuid.uuid4().hex
    return {"x-forwarded-for": f"2001:db8:{words[:4]}:{words[4:8]}::1"}


@pytest.fixture(scope="package")
def site(stack: Stack) -> Iterator[Stack]:
    """An API that opens accounts at once, beside the one of the other tests, on the same database."""
    extra = stack.extra | OPEN
    process = replace(stack, extra=extra, port=ports.free(), state=stack.state / "pages")
    with process.running("api"):
        yield process


@pytest.fixture
async def browser(site: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """Without an account, in a network of its own."""
    headers = BROWSER | SAME_ORIGIN | network()
    async with httpx2.AsyncClient(base_url=site.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
async def member(browser: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Signed in."""
    email = f"{uuid.uuid4().hex}@example.com"
    form = {"email": email, "password": PASSWORD, "next": "/keys"}
    answer = await browser.post("/sign-up", data=form)
    for _ in range(5):
        if answer.status_code != 503:
            break
        answer = await browser.post("/sign-up", data=form)  # the machine is busy, and the page says: try again
    assert (answer.status_code, answer.headers.get("location")) == (303, "/keys"), answer.text
    return browser

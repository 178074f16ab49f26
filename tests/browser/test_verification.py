"""The page of a mailed link in a real browser: it confirms the address, and says what the account begins with."""

import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.async_api import expect

from dev.postgres import EmbeddedPostgres
from tests.browser.conftest import NewContext
from tests.support.doubles.mail_server import MailServer, running
from tests.support.own_stack import own_stack
from tests.support.pages_site import OPEN, PASSWORD, SAME_ORIGIN
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Verifying(NamedTuple):
    site: Stack
    mails: MailServer


@pytest.fixture(scope="module")
def verifying(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifying]:
    mails = MailServer()
    with running(mails) as address:
        site = own_stack(postgres, tmp_path_factory, "verifying")
        site.extra = OPEN | {"YOUT_SMTP_URL": f"smtp://{address}", "YOUT_EMAIL_VERIFICATION": "true"}
        with site.running("api"):
            yield Verifying(site, mails)


async def test_a_mailbox_that_had_its_free_credits_is_told_so(verifying: Verifying, new_context: NewContext) -> None:
    site, mails = verifying
    name = uuid.uuid4().hex
    context = await new_context()
    page = await context.new_page()
    words = []
    for email in (f"{name}@gmail.com", f"{name}+again@gmail.com"):
        credentials = {"email": email, "password": PASSWORD}
        await context.request.post(f"{site.url}/api/auth/signup/", data=credentials, headers=SAME_ORIGIN)
        await page.goto("about:blank")
        await page.goto(f"{site.url}/verify#{mails.secret(email)}")
        await page.get_by_role("button", name="Confirm").click()
        await expect(page.get_by_role("status")).to_contain_text("Your address is confirmed.")
        words.append(await page.get_by_role("status").inner_text())
    assert ["none came" in text for text in words] == [False, True]
    await page.close()

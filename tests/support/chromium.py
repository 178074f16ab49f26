"""The Chromium of this machine, for tests in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.support.system_programs import required

NAMES = ("chromium", "chromium-browser", "google-chrome")


@asynccontextmanager
async def running() -> AsyncIterator[Browser]:
    path = required(*NAMES, package="chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            await browser.close()

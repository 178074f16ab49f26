"""The Chromium of this machine, for tests in a real browser."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
_ABSENT = f"There is no {', no '.join(NAMES)} on the PATH: these tests need one of them."


def program() -> Path:
    """Return the browser's program. Without one the test is skipped; where all must run, it fails."""
    for name in NAMES:
        if path := shutil.which(name):
            return Path(path)
    if os.environ.get("CI") == "true":
        pytest.fail(_ABSENT)
    pytest.skip(_ABSENT)


@asynccontextmanager
async def running() -> AsyncIterator[Browser]:
    path = program()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            await browser.close()

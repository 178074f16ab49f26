"""A page whose end comes late: nothing of it is painted before, since columns of tables would move as rows arrive."""

import asyncio

import httpx2
import pytest
from aiohttp import web

from dev import ports
from tests.browser.conftest import NewContext
from tests.support.stack import Stack, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAINTED = "performance.getEntriesByName('first-contentful-paint').map(({startTime}) => startTime)[0]"


class Halved:
    """Serves what another server has, and holds back the second half of its pages."""

    def __init__(self, origin: httpx2.AsyncClient) -> None:
        self._origin, self.rest = origin, asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        answer = await self._origin.get(request.path_qs, headers={"accept-encoding": "identity"})
        headers = {
            name: answer.headers[name] for name in ("content-type", "content-security-policy") if name in answer.headers
        }
        halved = web.StreamResponse(headers=headers)
        await halved.prepare(request)
        half = len(answer.content) // 2 if headers["content-type"].startswith("text/html") else 0
        await halved.write(answer.content[:half])
        if half:
            await self.rest.wait()
        await halved.write(answer.content[half:])
        return halved


async def test_a_page_is_painted_once_all_of_it_is_there(site: Stack, new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    async with httpx2.AsyncClient(base_url=site.url, timeout=30) as origin:
        halved, app = Halved(origin), web.Application()
        app.router.add_get("/{path:.*}", halved.answer)
        runner, port = web.AppRunner(app), ports.free()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            await page.goto(f"http://127.0.0.1:{port}/models", wait_until="commit")
            assert await eventually(lambda: page.evaluate("document.querySelectorAll('#content').length"))
            await asyncio.sleep(0.5)  # a browser that paints early does it now
            before = await page.evaluate("performance.now()")
            halved.rest.set()
            assert await eventually(lambda: page.evaluate(PAINTED)) > before
            await page.wait_for_load_state()
            await page.close()
        finally:
            await runner.cleanup()

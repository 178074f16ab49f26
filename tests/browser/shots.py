"""Pictures of the real pages for the README: `make shots` writes them to docs/images.

Starts a server of its own, with an account that has something to show, and ends it.
"""

import asyncio
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import httpx2
from PIL import Image
from playwright.async_api import BrowserContext, ViewportSize

from db import migrate
from dev.postgres import EmbeddedPostgres
from tests.conftest import IN_MEMORY
from tests.support import chromium
from tests.support.pages_site import OPEN, PASSWORD, SAME_ORIGIN
from tests.support.stack import ROOT, Stack

FOLDER = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 800
COLOURS = 128
MAX_BYTES = 60 * 1024
PUBLIC_URL = "http://127.0.0.1:8000"
KEYS: Sequence[tuple[str, Sequence[str], Mapping[str, int]]] = (
    ("laptop", ["chat", "models", "billing"], {"credits_day": 20_000}),
    ("ci", ["chat"], {"credits_month": 250_000, "requests": 60}),
    ("studio", ["media", "models"], {}),
)


class Shot(NamedTuple):
    name: str
    path: str
    signed_in: bool
    scheme: Literal["light", "dark"]


SHOTS = (
    Shot("first-visit", "/", False, "light"),
    Shot("models", "/models", True, "light"),
    Shot("keys", "/keys", True, "dark"),
)


@contextmanager
def server() -> Iterator[Stack]:
    with EmbeddedPostgres.temporary(IN_MEMORY) as postgres, TemporaryDirectory() as folder:
        if not migrate.upgrade(postgres.url, postgres.app_url):
            raise RuntimeError("The database could not be made.")
        stack = Stack.on(postgres, Path(folder) / "state", extra=OPEN | {"YOUT_PUBLIC_URL": PUBLIC_URL})
        with stack.running("api"):
            yield stack


async def sign_up(stack: Stack, context: BrowserContext) -> None:
    """Sign the browser in, to an account whose keys were used."""
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN, timeout=30) as api:
        credentials = {"email": "ada@example.com", "password": PASSWORD}
        (await api.post("/api/auth/signup/", json=credentials)).raise_for_status()
        for name, scopes, limits in KEYS:
            created = await api.post("/api/chat/keys/", json={"name": name, "scopes": scopes, "limits": limits})
            created.raise_for_status()
            call = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello!"}]}
            headers = {"authorization": f"Bearer {created.json()['key']}"}
            await api.post("/v1/chat/completions", json=call, headers=headers)
        for name, value in api.cookies.items():
            await context.add_cookies([{"name": name, "value": value, "url": stack.url}])


def compressed(png: bytes) -> bytes:
    """Return the picture in few colours, which pages have."""
    written = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


async def taken(shot: Shot, stack: Stack, context: BrowserContext) -> bytes:
    page = await context.new_page()
    await page.emulate_media(color_scheme=shot.scheme)
    await page.goto(stack.url + shot.path)
    await page.evaluate("document.fonts.ready.then(() => null)")
    await page.reload()  # a font that came late is used from the second time on
    picture = compressed(await page.screenshot())
    await page.close()
    return picture


async def take(stack: Stack) -> int:
    """Write all pictures. Returns the size of the largest."""
    sizes = []
    async with chromium.running() as program:
        size: ViewportSize = {"width": WIDTH, "height": HEIGHT}
        visitor = await program.new_context(viewport=size, reduced_motion="reduce")
        member = await program.new_context(viewport=size, reduced_motion="reduce")
        await sign_up(stack, member)
        for shot in SHOTS:
            picture = await taken(shot, stack, member if shot.signed_in else visitor)
            (FOLDER / f"{shot.name}.png").write_bytes(picture)
            sys.stdout.write(f"docs/images/{shot.name}.png: {len(picture):,} bytes\n")
            sizes.append(len(picture))
    return max(sizes)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with server() as stack:
        return 1 if asyncio.run(take(stack)) > MAX_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())

"""A folder of PostgreSQL with our schema in it, copied for each server that tests start: to make one takes seconds."""

import asyncio
import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from db import migrate
from dev.postgres import EmbeddedPostgres


@functools.cache
def _folder() -> Path:
    """That of this process."""
    folder = Path(tempfile.mkdtemp(prefix="yout-migrated-"))
    atexit.register(shutil.rmtree, folder)
    return folder / "postgres"


async def put(folder: Path) -> None:
    """Into a folder that is not there yet: a server that is started there finds a migrated database."""
    template = _folder()
    if not await asyncio.to_thread(template.exists):
        async with EmbeddedPostgres(template) as server:
            assert migrate.upgrade(server.url, server.app_url)
    await asyncio.to_thread(_copy, template, folder)


def _copy(template: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", template / "data", template / "password", folder], check=True)

"""Runs programs that decode foreign bytes: content in, an answer out, and no secret within their reach."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

_ROOT = Path(__file__).parent.parent


async def answer(program: Sequence[str], content: bytes, limit: timedelta) -> bytes:
    """Return what the program writes. Empty if it fails, or takes longer than `limit`; it ends with its caller.

    It sees no setting, so no secret.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await _run(program, content)
    except (TimeoutError, OSError):
        return b""


async def _run(program: Sequence[str], content: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *program,
        cwd=_ROOT,
        env={},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        made, _ = await process.communicate(content)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return made if process.returncode == 0 else b""

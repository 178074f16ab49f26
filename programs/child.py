"""Runs a child program over foreign bytes: content in, an answer out, and no secret within its reach."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

_ROOT = Path(__file__).parent.parent


async def answer(command: Sequence[str], content: bytes, time_limit: timedelta | None = None) -> bytes:
    """Return what the program writes. Empty if it cannot be started, fails, or takes longer than `time_limit`.

    It sees no setting, so no secret. It ends with its caller, also when that is cancelled.
    """
    try:
        async with asyncio.timeout(None if time_limit is None else time_limit.total_seconds()):
            return await _run(command, content)
    except (TimeoutError, OSError):
        return b""


async def _run(command: Sequence[str], content: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        env={},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate(content)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output if process.returncode == 0 else b""

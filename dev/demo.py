"""The demo account: a key with credits, made once and kept with the state."""

import json

from dev import probe
from dev.child import Program, finish
from dev.errors import CannotStart


async def accepted(api_url: str, key: str) -> bool:
    """Whether the running API takes the key. Any other trouble than a refusal is no reason for a new one."""
    return await probe.status(f"{api_url}/api/chat/limit/", bearer=key) != 401


async def create(program: Program) -> str:
    """A new key of the demo account."""
    done = await finish(program)
    try:
        if done.code == 0:
            return str(json.loads(done.output)["api_key"])
    except (ValueError, KeyError, TypeError):
        pass
    raise CannotStart(
        f"The demo account could not be made ({' '.join(program.command)}):\n{done.errors or done.output}"
    )

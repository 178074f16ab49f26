"""Another gateway beside ours: how it is installed and started, and what is wanted of the comparison."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.stack import answering
from dev.child import Child, Program, Streams, spawn


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    token: str
    child: Child
    prefix: str = ""
    """Before a model's name, in requests."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    name: str
    version: str
    about: str
    """With what it runs, and what it does not do: half a sentence for the page of results."""
    ratio: float
    """How many times its calls per second ours are to be."""
    streams: int
    """How many it is given at once, a chunk every 20 ms each."""
    install: Callable[[], Awaitable[None]]
    """Raises `CannotStart` with the reason when that is impossible here."""
    start: Callable[[Path, int, Sequence[str]], Awaitable[Running]]
    """In a folder, before the upstream at a port, with models. Raises `CannotStart`."""


def environment(**more: str) -> dict[str, str]:
    """What a program needs of ours, and nothing that would configure it, with more variables."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")} | more


async def launch(program: Program, url: str, max_seconds: float) -> Child:
    """Start it, with a log in its folder, and wait until it answers at the URL. Raises `CannotStart`."""
    with (program.folder / f"{program.name.lower()}.log").open("ab") as output:
        child = spawn(program, Streams(output=output))
    try:
        await answering(url, child, max_seconds=max_seconds)
    except BaseException:
        await child.end()
        raise
    return child

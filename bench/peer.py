"""Another gateway beside ours: how it is installed and started, and what is wanted of the comparison."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.child import Child


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
